package awsclient

import (
	"context"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// KeepConnections is an option of every AWS client ([aws.Config.APIOptions])
// that keeps it from breaking connections.
//
// smithy-go closes a request's body when the answer begins, and from then on
// the body's WriteTo ends with io.EOF, where it must end with nil (v1.28.9,
// transport/http/internal/io/safe.go). When the transport has sent the whole
// body, but not looked yet whether there is more of it, as happens where CPU is
// short, it takes that for a failure and closes the connection under the
// answer. A body that can only be read ends as it should.
func KeepConnections(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KeepConnections", readBody), middleware.After)
}

func readBody(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	if request, ok := in.Request.(*smithyhttp.Request); ok {
		if body, ok := request.GetStream().(io.ReadSeeker); ok {
			request, err := request.SetStream(struct{ io.ReadSeeker }{body})
			if err != nil {
				return middleware.DeserializeOutput{}, middleware.Metadata{}, err
			}
			in.Request = request
		}
	}
	return next.HandleDeserialize(ctx, in)
}
