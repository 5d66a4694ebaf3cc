package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/atomicfile"
	"ittybit-media/scripts/internal/cli"
)

// saveEvery bounds what a crash makes the next run do again.
const saveEvery = 2 * time.Second

// checkpoint is how far a backfill has come. What is under the keys up to After
// has been skipped, or Lambda has it. It names no version: should the one be
// deleted at which a run ended, nobody says how S3 would go on.
type checkpoint struct {
	Digest string    `json:"digest"` // of stack and selection
	Begun  time.Time `json:"begun"`
	Window window    `json:"window"`
	After  string    `json:"after"` // "": nothing yet
	Tally  tally     `json:"tally"` // of the keys up to After
}

// digest tells backfills apart: by where they work, how the keys are routed and
// what is selected. After a change of the routes, objects that were skipped may
// get jobs. The URL tells a local run from an earlier one.
func digest(o stack.Outputs, s selection) (string, error) {
	text, err := json.Marshal([]any{o.Region, o.Bucket, o.Table, o.WebhookURL, o.Settings.Routes, o.Settings.OutputPrefix, s})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}

// checkpointFile is where the checkpoint is unless -checkpoint says otherwise.
// Like everything in that folder, it may be deleted at any time.
func checkpointFile(root, stack, digest string) string {
	return filepath.Join(root, ".build", "backfill", stack+"-"+digest+".json")
}

// resume reads what an earlier run left, or begins anew.
func (b *backfill) resume(ctx context.Context, within window) (checkpoint, error) {
	sum, err := digest(b.stack.Outputs, b.selection)
	if err != nil {
		return checkpoint{}, err
	}
	if b.file == "" {
		b.file = checkpointFile(b.stack.Root, b.stack.Name, sum)
	}
	fresh := checkpoint{Digest: sum, Begun: b.Now().UTC(), Window: within, Tally: newTally()}
	if b.restart {
		return fresh, nil
	}
	text, err := os.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("how far an earlier run came cannot be read: %w", err)
	}
	c := checkpoint{Tally: newTally()}
	if err := json.Unmarshal(text, &c); err != nil {
		return checkpoint{}, cli.Usagef("%s is no checkpoint: %w; -restart begins anew", b.file, err)
	}
	if c.Digest != sum {
		return checkpoint{}, cli.Usagef("%s is of another stack, routes or selection: name another file, or begin anew with -restart", b.file)
	}
	if c.After != "" {
		b.Say("Going on behind %s, where a run ended that began at %s and has sent %s. -restart begins anew.",
			cli.Printable(c.After), cli.Time(c.Begun), cli.Count(c.Tally.Sent, "object"))
	}
	return c, nil
}

// pass moves the checkpoint behind a key of which everything is done.
func (b *backfill) pass(key string) error {
	b.After, b.Tally = key, b.tally.clone()
	if time.Since(b.saved) < saveEvery {
		return nil
	}
	return b.save()
}

// save writes the checkpoint.
func (b *backfill) save() error {
	if b.DryRun {
		return nil
	}
	text, err := json.MarshalIndent(b.checkpoint, "", "  ")
	if err == nil {
		err = atomicfile.Write(b.file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("how far it has come cannot be written: %w", err)
	}
	b.saved = time.Now()
	return nil
}

// forget removes the checkpoint: there is nothing left to go on with.
func (b *backfill) forget() error {
	if b.DryRun {
		return nil
	}
	if err := os.Remove(b.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
