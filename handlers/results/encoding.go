package results

import (
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
)

// tag makes the names of attributes those of the JSON: there is one list.
const tag = "json"

// marshal makes attributes of a struct.
func marshal(v any) (item, error) {
	return attributevalue.MarshalMapWithOptions(v, func(o *attributevalue.EncoderOptions) { o.TagKey = tag })
}

// unmarshal reads the attributes that the struct at v knows.
func unmarshal(attributes item, v any) error {
	return attributevalue.UnmarshalMapWithOptions(attributes, v, func(o *attributevalue.DecoderOptions) { o.TagKey = tag })
}
