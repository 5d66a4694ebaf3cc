package awsjson_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"ittybit-media/scripts/localaws/awsjson"
)

var anyone = credentials.NewStaticCredentialsProvider("a", "b", "")

func TestSecrets(t *testing.T) {
	t.Parallel()
	s, _, url := start(t)
	client := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: anyone, RetryMaxAttempts: 1})
	const arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"
	s.SetSecret("by/name", "n")
	s.SetSecret(arn+"by/arn-AbCdEf", "a")
	s.SetEmptySecret("empty")
	for id, want := range map[string]string{
		"by/name": "n", arn + "by/name-x1Y2z3": "n", arn + "by/name": "n",
		arn + "by/arn-AbCdEf": "a", "by/arn": "a",
	} {
		out, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id})
		if err != nil || *out.SecretString != want || !strings.HasPrefix(*out.ARN, "arn:") || out.VersionId == nil {
			t.Errorf("%s = %v, %v; want %s", id, out, err, want)
		}
	}
	for _, id := range []string{"empty", "none", arn + "none-AbCdEf"} {
		if _, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id}); code(err) != "ResourceNotFoundException" {
			t.Errorf("%s: %v", id, err)
		}
	}
	s.SetSecret("empty", "filled")
	if out, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("empty")}); err != nil || *out.SecretString != "filled" {
		t.Errorf("filled: %v, %v", out, err)
	}
}

func TestDescribingSecrets(t *testing.T) {
	t.Parallel()
	s, _, url := start(t)
	client := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: anyone, RetryMaxAttempts: 1})
	s.SetSecret("key", "never to be seen here")
	s.SetEmptySecret("empty")
	for id, versions := range map[string]int{"key": 1, "arn:aws:secretsmanager:us-east-1:000000000000:secret:key-AbCdEf": 1, "empty": 0} {
		out, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
		if err != nil || !strings.Contains(id, *out.Name) || !strings.HasPrefix(*out.ARN, "arn:") || len(out.VersionIdsToStages) != versions {
			t.Errorf("%s: %+v, %v", id, out, err)
		}
	}
	if _, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("none")}); code(err) != "ResourceNotFoundException" {
		t.Errorf("none: %v", err)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	s, _, url := start(t)
	client := ssm.New(ssm.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: anyone, RetryMaxAttempts: 1})
	s.SetParameter("/ittybit/key", "secret")
	s.SetParameter("arn:aws:ssm:us-east-1:000000000000:parameter/plain", "secret")
	for _, name := range []string{"/ittybit/key", "arn:aws:ssm:us-east-1:000000000000:parameter/ittybit/key", "plain"} {
		out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil || *out.Parameter.Value != "secret" || out.Parameter.Type != "SecureString" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	if out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/ittybit/key")}); err != nil || *out.Parameter.Value == "secret" {
		t.Errorf("without decryption: %v, %v", out, err)
	}
	if _, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("none")}); code(err) != "ParameterNotFound" {
		t.Errorf("none: %v", err)
	}
}

func TestDescribeTable(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	if err := dynamodb.NewTableExistsWaiter(db).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: tableName}, time.Minute); err != nil {
		t.Fatal(err)
	}
	put(t, db, row{"pk": "a", "sk": "1"})
	out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: tableName})
	if err != nil || out.Table.TableStatus != types.TableStatusActive || *out.Table.ItemCount != 1 ||
		len(out.Table.GlobalSecondaryIndexes) != 2 || out.Table.GlobalSecondaryIndexes[0].IndexStatus != types.IndexStatusActive {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: tableName}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: tableName}); code(err) != "ResourceNotFoundException" {
		t.Errorf("after deletion: %v", err)
	}
}

func TestBadTables(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	s := types.ScalarAttributeTypeS
	definitions := []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: s}, {AttributeName: aws.String("sk"), AttributeType: s}}
	for want, in := range map[string]*dynamodb.CreateTableInput{
		"ResourceInUseException": {TableName: tableName, AttributeDefinitions: definitions, KeySchema: keys("pk", "sk")},
		"ValidationException":    {TableName: aws.String("other"), AttributeDefinitions: append(definitions, types.AttributeDefinition{AttributeName: aws.String("unused"), AttributeType: s}), KeySchema: keys("pk", "sk")},
	} {
		if _, err := db.CreateTable(t.Context(), in); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: aws.String("other"), AttributeDefinitions: definitions[:1], KeySchema: keys("pk", "sk")}); code(err) != "ValidationException" {
		t.Errorf("undefined key: %v", err)
	}
}

func TestInterceptAndCount(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	var mu sync.Mutex
	var seen []string
	lost := &awsjson.Fault{Type: "InternalServerError", Message: "lost", Status: http.StatusInternalServerError, Applied: true}
	s.Intercept(func(_ context.Context, c awsjson.Call) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(c.Service, c.Operation, c.Ordinal))
		if c.AccessKey != "local" || !strings.Contains(string(c.Body), "\"TableName\":") {
			t.Errorf("a call of %q with %s", c.AccessKey, c.Body)
		}
		switch {
		case c.Operation == "PutItem" && c.Ordinal <= 2:
			return awsjson.Throttled(c)
		case c.Operation == "UpdateItem":
			return lost
		}
		return nil
	})
	in := &dynamodb.PutItemInput{TableName: tableName, Item: row{"pk": "a", "sk": "1"}.item()}
	if _, err := db.PutItem(t.Context(), in); code(err) != "ProvisionedThroughputExceededException" {
		t.Errorf("throttled: %v", err)
	}
	if got := get(t, db, "a", "1"); got != "" {
		t.Errorf("a throttled put stored %q", got)
	}
	if _, err := db.PutItem(t.Context(), in, func(o *dynamodb.Options) { o.RetryMaxAttempts = 3 }); err != nil {
		t.Errorf("the SDK does not retry the throttling: %v", err)
	}
	if _, err := update(t, db, "SET x = :v", "", row{":v": "done"}, types.ReturnValueNone); code(err) != "InternalServerError" {
		t.Errorf("lost reply: %v", err)
	}
	if got := get(t, db, "a", "1"); got != "pk=a sk=1 x=done" {
		t.Errorf("after a lost reply: %q", got)
	}
	s.Intercept(nil)
	put(t, db, row{"pk": "b", "sk": "1"})
	calls := s.Calls()
	if calls["DynamoDB.PutItem"] != 4 || calls["DynamoDB.GetItem"] != 2 || calls["DynamoDB.CreateTable"] != 1 {
		t.Errorf("calls %v", calls)
	}
	if len(seen) != 6 || seen[0] != "DynamoDBPutItem1" {
		t.Errorf("intercepted %v", seen)
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "check_at": 7, "open": "1"})
	put(t, db, row{"pk": "a", "sk": "2"})
	put(t, db, row{"pk": "b", "sk": "1", "files": &types.AttributeValueMemberL{}})
	got := map[string]string{}
	s.Rows(*tableName, func(r awsjson.Row) {
		got[r.Text("pk")+r.Text("sk")] = r.Text("check_at") + r.Text("open") + r.Text("files") + r.Text("none")
	})
	if want := map[string]string{"a1": "71", "a2": "", "b1": ""}; !maps.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	s.Rows("none", func(awsjson.Row) { t.Error("a table that is not there has rows") })
}

func TestUnknownRequests(t *testing.T) {
	t.Parallel()
	_, db, url := start(t)
	if _, err := db.ListTables(t.Context(), &dynamodb.ListTablesInput{}); code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	res, err := http.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest || res.Header.Get("X-Amzn-Errortype") == "" {
		t.Errorf("no target: %s %v", res.Status, res.Header)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"TableName":"t","Segment":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
	if res, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a parameter that is not there: %s", res.Status)
	}
}

// The heap is one for all tests, so this one does not run beside others.
func TestMemoryOfARow(t *testing.T) {
	_, db := withTable(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	wide := func(i int) row {
		r := row{"pk": fmt.Sprint("uploads/", i, ".mp4"), "sk": "task#1", "open": "1", "check_at": 1763942400000 + i}
		for n := range 20 {
			r[fmt.Sprint("attribute_", n)] = strings.Repeat("v", 40)
		}
		return r
	}
	put(t, db, wide(0))
	const rows = 500
	before := heap()
	for i := range rows {
		put(t, db, wide(i+1))
	}
	if per := (int64(heap()) - int64(before)) / rows; per > 20<<10 {
		t.Errorf("%d bytes for each row", per)
	} else {
		t.Logf("%d bytes for each row", per)
	}
	if out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: tableName}); err != nil || *out.Table.ItemCount != rows+1 {
		t.Errorf("%v, %v", out, err)
	}
}
