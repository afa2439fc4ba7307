package main

import (
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/vectors"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

func TestTheLastBitsOfIDsDecide(t *testing.T) {
	plugin, projection, err := configure([]byte(`{"one_in": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	id := func(at int, of byte) (id [16]byte) {
		id[at] = of
		return id
	}
	batch := plugintest.Data{Spans: []plugintest.Span{
		{TraceID: id(8, 255)}, {TraceID: id(9, 127)}, {TraceID: id(9, 128)}, {TraceID: id(9, 255)},
	}}.Batch(projection)
	answer, err := plugin.Process(batch)
	if err != nil {
		t.Fatal(err)
	}
	for row, dropped := range []bool{true, true, false, false} {
		if answer.Dropped(row) != dropped {
			t.Errorf("row %d is dropped: %v", row, !dropped)
		}
	}
}

func TestVectors(t *testing.T) { vectors.Run(t, "tenth", forVectors) }

func TestStrangeBytesAreRefused(t *testing.T) { vectors.Mutate(t, "tenth", forVectors) }

func forVectors(config []byte) (vectors.Call, *traceweir.Projection, error) {
	plugin, projection, err := configure(config)
	if err != nil {
		return nil, nil, err
	}
	return plugin.Process, projection, nil
}
