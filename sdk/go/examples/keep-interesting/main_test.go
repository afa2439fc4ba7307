package main

import (
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/vectors"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

func TestTheStrongestReasonIsTheWholeTraces(t *testing.T) {
	plugin, projection, err := configure([]byte(`{"slow_ms": 100, "ratio": 0.5}`))
	if err != nil {
		t.Fatal(err)
	}
	batch := plugintest.Data{Spans: []plugintest.Span{
		{TraceID: [16]byte{1}, Duration: 100_000_000},
		{TraceID: [16]byte{2}, Duration: 99_999_999},
		{TraceID: [16]byte{1}, StatusCode: 2},
		{TraceID: [16]byte{3}, Duration: 100_000_000},
	}}.Batch(projection)
	answer, err := plugin.Sample(batch)
	if err != nil {
		t.Fatal(err)
	}
	share := traceweir.KeepRatio(0.5)
	for row, want := range []struct {
		verdict traceweir.Verdict
		reason  string
	}{{traceweir.Keep, "error"}, {share, "ratio"}, {traceweir.Keep, "error"}, {traceweir.Keep, "slow"}} {
		if answer.Verdict(row) != want.verdict || answer.Reason(row) != want.reason {
			t.Errorf("row %d: %v because of %q, and not %v", row, answer.Verdict(row), answer.Reason(row), want)
		}
	}
}

func TestVectors(t *testing.T) { vectors.Run(t, "keep-interesting", forVectors) }

func TestStrangeBytesAreRefused(t *testing.T) { vectors.Mutate(t, "keep-interesting", forVectors) }

func forVectors(config []byte) (vectors.Call, *traceweir.Projection, error) {
	plugin, projection, err := configure(config)
	if err != nil {
		return nil, nil, err
	}
	return plugin.Sample, projection, nil
}
