package dynamodb_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	for i, tc := range []struct {
		old       row
		condition string
		values    row
		holds     bool
	}{
		{nil, "attribute_not_exists(pk)", nil, true},
		{row{}, "attribute_not_exists(pk)", nil, false},
		{row{}, "attribute_exists(pk)", nil, true},
		{row{"r1": 1}, "attribute_not_exists(pk) OR r1 < :r", row{":r": 2}, true},
		{nil, "attribute_not_exists(pk) OR r1 < :r", row{":r": 2}, true},
		{row{"r1": 2}, "attribute_not_exists(pk) OR r1 < :r", row{":r": 2}, false},
		{row{"r1": 10}, "r1 < :r", row{":r": 9}, false},
		{row{}, "r1 < :r", row{":r": 2}, false},
		{row{}, "attribute_not_exists(r1) OR r1 < :r", row{":r": 2}, true},
		{nil, "r1 = :r", row{":r": 2}, false},
		{nil, "r1 <> :r", row{":r": 2}, true},
		{row{"a1": "x", "b1": "y"}, "a1 = :x AND (b1 = :x OR b1 = :y)", row{":x": "x", ":y": "y"}, true},
		{row{"a1": "x"}, "NOT a1 = :x", row{":x": "x"}, false},
		{row{"a1": "x"}, "a1 IN (:x, :y)", row{":x": "x", ":y": "y"}, true},
		{row{"n1": 5}, "n1 BETWEEN :x AND :y", row{":x": 5, ":y": 9}, true},
	} {
		key := row{"pk": fmt.Sprint("k", i), "sk": "s"}
		if tc.old != nil {
			tc.old["pk"], tc.old["sk"] = key["pk"], key["sk"]
			put(t, db, tc.old)
		}
		in := &dynamodb.PutItemInput{TableName: tableName, Item: key.item(), ConditionExpression: &tc.condition, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
		if tc.values != nil {
			in.ExpressionAttributeValues = tc.values.item()
		}
		_, err := db.PutItem(t.Context(), in)
		failed, isCondition := errors.AsType[*types.ConditionalCheckFailedException](err)
		switch {
		case tc.holds && err != nil:
			t.Errorf("%s on %v: %v", tc.condition, tc.old, err)
		case !tc.holds && !isCondition:
			t.Errorf("%s on %v: %v, want a failed condition", tc.condition, tc.old, err)
		case !tc.holds && text(failed.Item) != text(tc.old.item()):
			t.Errorf("%s: the failure carries %q, want %q", tc.condition, text(failed.Item), text(tc.old.item()))
		}
	}
}

func TestOneWinner(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	var wg sync.WaitGroup
	errs := make([]error, 50)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = db.PutItem(t.Context(), &dynamodb.PutItemInput{
				TableName: tableName, Item: row{"pk": "a", "sk": "1", "n": i}.item(), ConditionExpression: aws.String("attribute_not_exists(pk)"),
			})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("both %d and %d won", winner, i)
		case err == nil:
			winner = i
		case endpointtest.Code(err) != "ConditionalCheckFailedException":
			t.Error(err)
		}
	}
	if got, want := get(t, db, "a", "1"), fmt.Sprintf("n=%d pk=a sk=1", winner); got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old        row
		expression string
		values     row
		want       string
	}{
		"new row":           {nil, "SET x = :v", row{":v": 1}, "pk=a sk=1 x=1"},
		"set and remove":    {row{"b1": "y"}, "SET a1 = if_not_exists(a1, :v) REMOVE b1, c1", row{":v": "x"}, "a1=x pk=a sk=1"},
		"if_not_exists":     {row{"a1": "old"}, "SET a1 = if_not_exists(a1, :v)", row{":v": "x"}, "a1=old pk=a sk=1"},
		"from another":      {row{"a1": "old"}, "SET b1 = if_not_exists(a1, :v)", row{":v": "x"}, "a1=old b1=old pk=a sk=1"},
		"old values":        {row{"a1": "old"}, "SET a1 = :v, b1 = a1", row{":v": "x"}, "a1=x b1=old pk=a sk=1"},
		"add to nothing":    {nil, "ADD n :one", row{":one": 1}, "n=1 pk=a sk=1"},
		"add":               {row{"n": 41}, "ADD n :one SET t1 = :t", row{":one": 1, ":t": 1763942400123}, "n=42 pk=a sk=1 t1=1763942400123"},
		"plus":              {row{"n": 41}, "SET n = if_not_exists(n, :zero) + :one", row{":one": 1, ":zero": 0}, "n=42 pk=a sk=1"},
		"others stay exact": {row{"big": &types.AttributeValueMemberN{Value: "12345678901234567890123"}, "f": &types.AttributeValueMemberN{Value: "1.50"}}, "SET a1 = :v", row{":v": "x"}, "a1=x big=12345678901234567890123 f=1.50 pk=a sk=1"},
		"remove index keys": {row{"open": "1", "check_at": 5}, "REMOVE #open, check_at", nil, "pk=a sk=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, db := withTable(t)
			if tc.old != nil {
				tc.old["pk"], tc.old["sk"] = "a", "1"
				put(t, db, tc.old)
			}
			got, err := update(t, db, tc.expression, "", tc.values, types.ReturnValueAllNew)
			if err != nil || got != tc.want {
				t.Errorf("returned %q, %v; want %q", got, err, tc.want)
			}
			if got := get(t, db, "a", "1"); got != tc.want {
				t.Errorf("stored %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNestedValuesSurvive(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	s := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	values := row{
		"list":  &types.AttributeValueMemberL{Value: []types.AttributeValue{s("x"), &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"in": s("")}}}},
		"empty": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
		"map":   &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{}},
		"yes":   &types.AttributeValueMemberBOOL{Value: true},
		"no":    &types.AttributeValueMemberBOOL{Value: false},
		"null":  &types.AttributeValueMemberNULL{Value: true},
		"bytes": &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"set":   &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
		"pk":    "a", "sk": "1",
	}
	put(t, db, values)
	if _, err := update(t, db, "SET more = :v", "", row{":v": "x"}, types.ReturnValueNone); err != nil {
		t.Fatal(err)
	}
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: tableName, Key: row{"pk": "a", "sk": "1"}.item()})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range values.item() {
		if got := out.Item[name]; fmt.Sprintf("%#v", deref(got)) != fmt.Sprintf("%#v", deref(want)) {
			t.Errorf("%s = %#v, want %#v", name, deref(got), deref(want))
		}
	}
}

// deref spells values without the addresses that the SDK's pointers would
// print.
func deref(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberL:
		out := []any{}
		for _, e := range v.Value {
			out = append(out, deref(e))
		}
		return out
	case *types.AttributeValueMemberM:
		out := map[string]any{}
		for n, e := range v.Value {
			out[n] = deref(e)
		}
		return out
	case *types.AttributeValueMemberS:
		return "S" + v.Value
	case *types.AttributeValueMemberN:
		return "N" + v.Value
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberNULL:
		return "null"
	case *types.AttributeValueMemberB:
		return v.Value
	case *types.AttributeValueMemberSS:
		return v.Value
	}
	return nil
}

func TestReturnValues(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "x": 1, "y": 1})
	for _, tc := range []struct {
		returns types.ReturnValue
		want    string
	}{
		{types.ReturnValueNone, ""},
		{types.ReturnValueAllOld, "pk=a sk=1 x=2 y=1"},
		{types.ReturnValueAllNew, "pk=a sk=1 x=4 y=1"},
	} {
		got, err := update(t, db, "ADD x :one", "", row{":one": 1}, tc.returns)
		if err != nil || got != tc.want {
			t.Errorf("%s: %q, %v; want %q", tc.returns, got, err, tc.want)
		}
	}
	if _, err := update(t, db, "ADD x :one", "", row{":one": 1}, types.ReturnValueUpdatedNew); endpointtest.Code(err) != "ValidationException" || get(t, db, "a", "1") != "pk=a sk=1 x=4 y=1" {
		t.Errorf("of the attributes that are written: %v", err)
	}
	out, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: tableName, Item: row{"pk": "a", "sk": "1"}.item(), ReturnValues: types.ReturnValueAllOld})
	if err != nil || text(out.Attributes) != "pk=a sk=1 x=4 y=1" {
		t.Errorf("put: %v, %v", out, err)
	}
	out, err = db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: tableName, Item: row{"pk": "a", "sk": "1"}.item()})
	if err != nil || len(out.Attributes) != 0 {
		t.Errorf("put without return values: %v, %v", out, err)
	}
	deleted, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: tableName, Key: row{"pk": "a", "sk": "1"}.item(), ReturnValues: types.ReturnValueAllOld})
	if err != nil || text(deleted.Attributes) != "pk=a sk=1" || get(t, db, "a", "1") != "" {
		t.Errorf("delete: %v, %v", deleted, err)
	}
}

func TestAFailedUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "r1": 3})
	_, err := update(t, db, "SET r1 = :r", "r1 < :r", row{":r": 3}, types.ReturnValueNone)
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok || text(failed.Item) != "pk=a r1=3 sk=1" {
		t.Errorf("condition: %v, item %v", err, failed)
	}
	for _, expression := range []string{"SET n1 = :v, r1 = r1 + :v", "ADD n1 :v, r1 :v"} {
		if _, err := update(t, db, expression, "", row{":v": "no number"}, types.ReturnValueNone); endpointtest.Code(err) != "ValidationException" {
			t.Errorf("%s: %v", expression, err)
		}
	}
	if got := get(t, db, "a", "1"); got != "pk=a r1=3 sk=1" {
		t.Errorf("the row is now %q", got)
	}
}

func TestWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	big := strings.Repeat("x", 300<<10)
	put(t, db, row{"pk": "a", "sk": "1", "payload": big})
	putErr := func(r row) error {
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: tableName, Item: r.item()})
		return err
	}
	updateErr := func(expression, condition string, values row) error {
		_, err := update(t, db, expression, condition, values, types.ReturnValueNone)
		return err
	}
	for name, err := range map[string]error{
		"item over 400 KB":        putErr(row{"pk": "a", "sk": "2", "payload": strings.Repeat("x", 400<<10)}),
		"update over 400 KB":      updateErr("SET more = :v", "", row{":v": big}),
		"empty partition key":     putErr(row{"pk": "", "sk": "1"}),
		"empty sort key":          putErr(row{"pk": "a", "sk": ""}),
		"no sort key":             putErr(row{"pk": "a"}),
		"key of another type":     putErr(row{"pk": "a", "sk": 1}),
		"empty index key":         putErr(row{"pk": "a", "sk": "2", "open": "", "check_at": 1}),
		"empty index key, update": updateErr("SET #open = :v", "", row{":v": ""}),
		"index key of other type": putErr(row{"pk": "a", "sk": "2", "open": "1", "check_at": "soon"}),
		"long partition key":      putErr(row{"pk": strings.Repeat("p", 2049), "sk": "1"}),
		"long sort key":           putErr(row{"pk": "a", "sk": strings.Repeat("s", 1025)}),
		"not a number":            putErr(row{"pk": "a", "sk": "2", "n": &types.AttributeValueMemberN{Value: "one"}}),
		"empty set":               putErr(row{"pk": "a", "sk": "2", "n": &types.AttributeValueMemberSS{Value: []string{}}}),
		"key in an update":        updateErr("SET sk = :v", "", row{":v": "x"}),
		"overlapping paths":       updateErr("SET m1 = :v, m1.deep = :v", "", row{":v": "x"}),
		"the same path twice":     updateErr("SET m1 = :v REMOVE m1", "", row{":v": "x"}),
		"reserved word":           updateErr("SET status = :v", "", row{":v": "x"}),
		"reserved word, condition": updateErr("SET m1 = :v", "attribute_not_exists(error) OR state = :v",
			row{":v": "x"}),
		"unused value":    updateErr("SET m1 = :v", "", row{":v": "x", ":w": "x"}),
		"undefined value": updateErr("SET m1 = :v", "m2 = :w", row{":v": "x"}),
		"syntax":          updateErr("SET m1 :v", "", row{":v": "x"}),
	} {
		if endpointtest.Code(err) != "ValidationException" {
			t.Errorf("%s: %v, want a ValidationException", name, err)
		}
	}
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("none"), Item: row{"pk": "a", "sk": "1"}.item()}); endpointtest.Code(err) != "ResourceNotFoundException" {
		t.Errorf("no table: %v", err)
	}
	if got := len(get(t, db, "a", "1")); got < len(big) {
		t.Errorf("the row has shrunk to %d bytes", got)
	}
}

func TestKeysAreNotJoined(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "b.c"}, row{"pk": "a.b", "sk": "c"})
	if a, b := get(t, db, "a", "b.c"), get(t, db, "a.b", "c"); a != "pk=a sk=b.c" || b != "pk=a.b sk=c" {
		t.Errorf("%q, %q", a, b)
	}
}
