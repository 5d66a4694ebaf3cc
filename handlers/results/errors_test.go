package results_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/endpoint"
)

// operations are all that can fail, by the IAM action that they take.
var operations = map[string]func(context.Context, *results.Table, dynamodb.ScanAPIClient) error{
	"Query RowsByUpload": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.RowsByUpload(ctx, upload.Key, "u")
		return err
	},
	"Query OverdueRows": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		for _, err := range t.OverdueRows(ctx, start) {
			return err
		}
		return nil
	},
	"Scan RowsByState": func(ctx context.Context, t *results.Table, s dynamodb.ScanAPIClient) error {
		for _, err := range t.RowsByState(ctx, s, "failed") {
			return err
		}
		return nil
	},
	"PutItem InsertQueued": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.InsertQueued(ctx, results.Dispatched{At: start, CheckAt: start, Upload: upload, Ref: refTo("video", 0), Result: queued})
		return err
	},
	"PutItem Reject": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.Reject(ctx, start, upload, refTo("video", 0), "no")
		return err
	},
	"UpdateItem Apply": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.Apply(ctx, results.Report{At: start, Ref: refTo("video", 0), Result: succeeded})
		return err
	},
	"UpdateItem Reschedule": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.Reschedule(ctx, upload.Key, jobID, start)
		return err
	},
	"UpdateItem TakeLease": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.TakeLease(ctx, start, "sweep", "a", start)
		return err
	},
	"UpdateItem ReleaseLease": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		return t.ReleaseLease(ctx, "sweep", "a")
	},
	"UpdateItem ReserveJobs": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.ReserveJobs(ctx, start, 1, 1)
		return err
	},
	"UpdateItem ReturnJobs": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		return t.ReturnJobs(ctx, start, 1)
	},
	"GetItem Ledger": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.Ledger(ctx, upload.Key, "u")
		return err
	},
	"UpdateItem UpdateLedger": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.UpdateLedger(ctx, start, upload.Key, "u", nil)
		return err
	},
	"GetItem JobCount": func(ctx context.Context, t *results.Table, _ dynamodb.ScanAPIClient) error {
		_, err := t.JobCount(ctx, start)
		return err
	},
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for code, reason := range map[string]error{
		"ResourceNotFoundException":              results.ErrNoTable,
		"AccessDeniedException":                  results.ErrDenied,
		"ProvisionedThroughputExceededException": results.ErrThrottled,
		"ThrottlingException":                    results.ErrThrottled,
		"RequestLimitExceeded":                   results.ErrThrottled,
		"ValidationException":                    nil,
	} {
		f := newFixture(t, 0)
		f.aws.Fail(handlertest.Any, &endpoint.Fault{Type: "com.amazonaws.dynamodb.v20120810#" + code, Message: "as AWS has it"})
		for name, operation := range operations {
			t.Run(code+" "+name, func(t *testing.T) {
				t.Parallel()
				err := operation(t.Context(), f.Table, f.client)
				if err == nil {
					t.Fatal("no error")
				}
				for _, sentinel := range []error{results.ErrNoTable, results.ErrDenied, results.ErrThrottled} {
					if errors.Is(err, sentinel) != (sentinel == reason) {
						t.Errorf("errors.Is(%q, %q) = %v", err, sentinel, sentinel != reason)
					}
				}
				if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != code {
					t.Errorf("DynamoDB's error is lost in %q", err)
				}
				action, _, _ := strings.Cut(name, " ")
				if reason == results.ErrDenied && !strings.Contains(err.Error(), "allow the role dynamodb:"+action) {
					t.Errorf("%q does not name the action", err)
				}
				if !strings.Contains(err.Error(), "table "+tableName) {
					t.Errorf("%q does not name the table", err)
				}
			})
		}
	}
}

func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFixture(t, 0)
	for name, operation := range operations {
		if err := operation(ctx, f.Table, f.client); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What follows a refused write can fail as well.
func TestErrorsAfterARefusedWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	f.queued(t, ref, queued)
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	f.aws.Fail(handlertest.Operation("GetItem"), &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
	if _, err := f.Apply(t.Context(), results.Report{At: start, Ref: ref, Result: failed}); !errors.Is(err, results.ErrDenied) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := f.InsertQueued(t.Context(), results.Dispatched{At: start, CheckAt: start, Upload: upload, Ref: ref, Result: queued}); !errors.Is(err, results.ErrDenied) {
		t.Errorf("InsertQueued: %v", err)
	}
}

func TestEmptyKeysAreRefused(t *testing.T) {
	t.Parallel()
	table := results.New(nil, tableName, results.Options{}) // nothing is asked
	ctx := t.Context()
	ref, noKey, noUpload := refTo("video", 0), refTo("video", 0), refTo("video", 0)
	noKey.Key, noUpload.Upload = "", ""
	for name, operation := range map[string]func() error{
		"RowsByUpload, key":    func() error { _, err := table.RowsByUpload(ctx, "", "u"); return err },
		"RowsByUpload, upload": func() error { _, err := table.RowsByUpload(ctx, "k", ""); return err },
		"InsertQueued, key": func() error {
			_, err := table.InsertQueued(ctx, results.Dispatched{At: start, CheckAt: start, Upload: upload, Ref: noKey, Result: queued})
			return err
		},
		"InsertQueued, job id": func() error {
			_, err := table.InsertQueued(ctx, results.Dispatched{At: start, CheckAt: start, Upload: upload, Ref: ref, Result: media.Result{}})
			return err
		},
		"Apply, key": func() error {
			_, err := table.Apply(ctx, results.Report{At: start, Ref: noKey, Result: queued})
			return err
		},
		"Apply, job id": func() error {
			_, err := table.Apply(ctx, results.Report{At: start, Ref: ref, Result: media.Result{}})
			return err
		},
		"Reject, key":       func() error { _, err := table.Reject(ctx, start, upload, noKey, "no"); return err },
		"Reject, upload":    func() error { _, err := table.Reject(ctx, start, upload, noUpload, "no"); return err },
		"Reschedule, key":   func() error { _, err := table.Reschedule(ctx, "", jobID, start); return err },
		"Reschedule, jobID": func() error { _, err := table.Reschedule(ctx, "k", "", start); return err },
	} {
		if err := operation(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
