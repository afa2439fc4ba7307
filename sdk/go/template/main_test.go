package main

import (
	"testing"

	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

func TestHealthChecksAreDropped(t *testing.T) {
	plugin, projection, err := configure([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	batch := plugintest.Data{Spans: []plugintest.Span{
		{Attributes: plugintest.Attributes{"url.path": "/healthz"}},
		{Attributes: plugintest.Attributes{"url.path": "/cart"}},
		{},
	}}.Batch(projection)
	answer, err := plugin.Process(batch)
	if err != nil {
		t.Fatal(err)
	}
	for row, want := range []bool{true, false, false} {
		if answer.Dropped(row) != want {
			t.Errorf("row %d is dropped: %v", row, !want)
		}
	}
}
