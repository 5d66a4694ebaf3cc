package results

import (
	"context"
	"time"
)

// Leases are items without a state, so readers of rows, the index and the pipe
// do not see them.
const leaseKey = "lease#"

// What a lease has beside its keys, while it is held.
const (
	leaseOwner = "owner"
	leaseUntil = "until" // Unix milliseconds
)

// TakeLease takes the lease of that name for the owner, until then. It returns
// false if another owner has it now. An owner that has it already gets it again,
// as the answer to its first request may be lost.
func (t *Table) TakeLease(ctx context.Context, now time.Time, name, owner string, until time.Time) (taken bool, err error) {
	u := newUpdate()
	u.set(item{leaseOwner: text(owner), leaseUntil: number(until.UnixMilli())})
	u.value("now", number(now.UnixMilli()))
	const free = "attribute_not_exists(#owner) OR #owner = :owner OR #until <= :now"
	_, taken, err = t.update(ctx, "taking a lease", rowKey(leaseKey, name), u, free)
	return taken, err
}

// ReleaseLease frees the lease of that name if the owner has it, and does
// nothing otherwise.
func (t *Table) ReleaseLease(ctx context.Context, name, owner string) error {
	u := newUpdate()
	u.remove(leaseOwner, leaseUntil)
	u.value(leaseOwner, text(owner))
	_, _, err := t.update(ctx, "releasing a lease", rowKey(leaseKey, name), u, "#owner = :owner")
	return err
}
