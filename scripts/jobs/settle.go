package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/scripts/internal/cli"
)

// answerMargin is how much longer than sweep may run its answer is waited for.
const answerMargin = 30 * time.Second

// runSweep runs sweep and waits for what it did.
func (j *jobs) runSweep(ctx context.Context) error {
	if j.DryRun {
		overdue := 0
		for _, err := range j.table.OverdueRows(ctx, j.Now()) {
			if err != nil {
				return err
			}
			overdue++
		}
		j.Say("sweep would ask Ittybit for %s", cli.Count(overdue, "job"))
		return nil
	}
	summary, err := j.invokeSweep(ctx)
	if err != nil {
		return err
	}
	if j.JSON {
		if err := j.PrintJSON(summary); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(j.Out, summaryText(summary))
	}
	if summary.Behind {
		return errors.New("overdue jobs are left: run it again")
	}
	return nil
}

func summaryText(s record.Summary) string {
	if s.Running {
		return "sweep is already running: wait for it, or run this again in 3 minutes"
	}
	if len(s.Jobs) == 0 {
		return "no job is overdue"
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(s.Jobs)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.Jobs[what], strings.ReplaceAll(what, "_", " ")))
	}
	return "overdue jobs: " + strings.Join(parts, ", ")
}

// invokeSweep never tries twice: a second sweep would run beside the first one,
// whose answer was only lost or late.
func (j *jobs) invokeSweep(ctx context.Context) (record.Summary, error) {
	name := j.stack.Outputs.Functions["sweep"]
	out, err := j.stack.Lambda().Invoke(ctx, &lambda.InvokeInput{
		FunctionName:   &name,
		InvocationType: types.InvocationTypeRequestResponse,
		Payload:        []byte("{}"),
	}, func(o *lambda.Options) {
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = awshttp.NewBuildableClient().WithTimeout(media.SweepTimeout + answerMargin)
	})
	if err != nil {
		return record.Summary{}, fmt.Errorf("running sweep: %w\nif it began, it goes on: its log is %s", err, j.stack.Outputs.LogGroups["sweep"])
	}
	if out.FunctionError != nil {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(out.Payload, &failure) // what is no JSON says nothing
		return record.Summary{}, fmt.Errorf("sweep failed: %s\nits log is %s", failure.Message, j.stack.Outputs.LogGroups["sweep"])
	}
	var s record.Summary
	if err := json.Unmarshal(out.Payload, &s); err != nil {
		return record.Summary{}, fmt.Errorf("sweep's answer is not one of this version: %w", err)
	}
	return s, nil
}
