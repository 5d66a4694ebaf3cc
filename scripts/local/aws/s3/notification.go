package s3

import (
	"crypto/rand"
	"net/http"
	"strings"

	xml "github.com/minio/xxml"
	"github.com/rclone/gofakes3"
)

// notifications are what a bucket tells others of its objects (Amazon S3 API
// Reference, "NotificationConfiguration"). EventBridge gets its events here,
// see [Created]; the others are kept, and never told.
type notifications struct {
	XMLName     xml.Name       `xml:"NotificationConfiguration"`
	Namespace   string         `xml:"xmlns,attr"`
	Topics      []notification `xml:"TopicConfiguration"`
	Queues      []notification `xml:"QueueConfiguration"`
	Functions   []notification `xml:"CloudFunctionConfiguration"`
	EventBridge *struct{}      `xml:"EventBridgeConfiguration"`
	Unknown     []unknown      `xml:",any"`
}

type notification struct {
	ID       string    `xml:"Id"`
	Topic    string    `xml:"Topic,omitempty"`
	Queue    string    `xml:"Queue,omitempty"`
	Function string    `xml:"CloudFunction,omitempty"`
	Events   []string  `xml:"Event"`
	Rules    *[]rule   `xml:"Filter>S3Key>FilterRule"`
	Unknown  []unknown `xml:",any"`
}

type rule struct {
	Name  string
	Value string
}

// unknown is an element that the API does not have.
type unknown struct{ XMLName xml.Name }

func (n *notifications) setEventBridge(on bool) {
	n.EventBridge = nil
	if on {
		n.EventBridge = &struct{}{}
	}
}

// complete checks what a client sent and names what it left without a name, as
// S3 does.
func (n *notifications) complete() error {
	if len(n.Unknown) > 0 {
		return malformed("the element " + n.Unknown[0].XMLName.Local + " is not known")
	}
	for _, kind := range []struct {
		all    []notification
		target func(notification) string
	}{
		{n.Topics, func(c notification) string { return c.Topic }},
		{n.Queues, func(c notification) string { return c.Queue }},
		{n.Functions, func(c notification) string { return c.Function }},
	} {
		for i, c := range kind.all {
			switch target := kind.target(c); {
			case len(c.Unknown) > 0:
				return malformed("the element " + c.Unknown[0].XMLName.Local + " is not known")
			case !strings.HasPrefix(target, "arn:") || target != c.Topic+c.Queue+c.Function:
				return gofakes3.ErrorMessage(gofakes3.ErrInvalidArgument, "The ARN is not well formed")
			case len(c.Events) == 0:
				return malformed("a configuration names no event")
			case c.ID == "":
				kind.all[i].ID = rand.Text()
			}
		}
	}
	return nil
}

func malformed(why string) error { return gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, why) }

func (s *Store) getNotifications(bucketName string) (notifications, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return notifications{}, err
	}
	return bkt.notifications, nil
}

// putNotifications replaces the whole configuration, EventBridge with the rest:
// S3 knows no other way.
func (s *Store) putNotifications(bucketName string, body []byte) error {
	var n notifications
	if err := xml.Unmarshal(body, &n); err != nil {
		return malformed(err.Error())
	}
	if err := n.complete(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return err
	}
	bkt.notifications = n
	return nil
}

// notification gives and takes the configuration.
func (h handler) notification(w http.ResponseWriter, r *http.Request, bucketName string) error {
	switch r.Method {
	case http.MethodGet:
		n, err := h.store.getNotifications(bucketName)
		if err != nil {
			return err
		}
		n.XMLName, n.Namespace = xml.Name{}, namespace
		writeXML(w, http.StatusOK, n)
		return nil
	case http.MethodPut:
		body, err := readDocument(w, r)
		if err != nil {
			return err
		}
		return h.store.putNotifications(bucketName, body)
	}
	return gofakes3.ErrMethodNotAllowed
}
