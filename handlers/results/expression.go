package results

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/media"
)

// Expressions are written by hand, every attribute as #name and every value as
// :name: the SDK's expression builder makes them longer and no clearer.

// item is a row, or attributes of one, as DynamoDB has it.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue {
	return &types.AttributeValueMemberS{Value: s}
}

func number[T ~int | ~int64](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// names maps every #name in the expressions to the attribute name, which it
// spares from being one of DynamoDB's 573 reserved words. DynamoDB refuses
// names that are declared and not used, so they are read from the expressions.
func names(expressions ...string) map[string]string {
	found := map[string]string{}
	for _, expression := range expressions {
		for word := range strings.FieldsFuncSeq(expression, func(r rune) bool { return strings.ContainsRune(" ,()=<>", r) }) {
			if name, ok := strings.CutPrefix(word, "#"); ok {
				found[word] = name
			}
		}
	}
	return found
}

// update collects the clauses and values of an update expression. No attribute
// may be named twice.
type update struct {
	sets, removes []string
	values        item
}

func newUpdate() *update { return &update{values: item{}} }

// value adds a value that only the condition uses.
func (u *update) value(name string, v types.AttributeValue) {
	u.values[":"+name] = v
}

// job adds the values of [sameJob].
func (u *update) job(ref media.JobRef) {
	u.value("upload", text(ref.Upload))
	u.value("job", text(ref.Job))
	u.value("attempt", number(ref.Attempt))
}

// set sets the attributes.
func (u *update) set(attributes item) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		u.sets = append(u.sets, "#"+name+" = :"+name)
		u.value(name, attributes[name])
	}
}

// fill sets those of the attributes that the row does not have.
func (u *update) fill(attributes item) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		u.sets = append(u.sets, "#"+name+" = if_not_exists(#"+name+", :"+name+")")
		u.value(name, attributes[name])
	}
}

func (u *update) remove(names ...string) {
	for _, name := range names {
		u.removes = append(u.removes, "#"+name)
	}
}

// String is the update expression.
func (u *update) String() string {
	var clauses []string
	if len(u.sets) > 0 {
		clauses = append(clauses, "SET "+strings.Join(u.sets, ", "))
	}
	if len(u.removes) > 0 {
		clauses = append(clauses, "REMOVE "+strings.Join(u.removes, ", "))
	}
	return strings.Join(clauses, " ")
}
