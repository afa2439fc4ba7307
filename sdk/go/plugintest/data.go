package plugintest

import (
	"fmt"

	traceweir "github.com/traceweir/traceweir/sdk/go"
)

// Attributes are by their keys. A value is a string, an int, a float64, a bool, nil, or a [traceweir.Value].
type Attributes map[string]any

// Data is what a batch is made of.
type Data struct {
	Resources []Resource
	Scopes    []Scope
	Spans     []Span
	// Tail makes it a batch for a tail sampler: spans of a trace stand together, and there is a table of traces.
	Tail bool
	// Summary leaves nothing but that table.
	Summary bool
	// Late are the traces that were decided before.
	Late map[[16]byte]bool
	// Used says of each budget, by its name, what was kept in the window, by the value of its attribute.
	Used map[string]map[string]uint64
}

// Resource is what spans come from.
type Resource struct {
	Attributes  Attributes
	PeerAddress string
}

// Scope is what has made spans.
type Scope struct {
	Name, Version string
	Attributes    Attributes
}

// Span is a row. Resource and Scope are places in [Data].
type Span struct {
	TraceID       [16]byte
	SpanID        [8]byte
	ParentSpanID  [8]byte
	TraceState    string
	TraceFlags    uint32
	Name          string
	Kind          uint8
	StartTime     uint64
	Duration      uint64
	StatusCode    uint8
	StatusMessage string
	Resource      int
	Scope         int
	Attributes    Attributes
	Events        []Event
	Links         []Link
}

// Event is one of a span.
type Event struct {
	Name       string
	Time       uint64
	Attributes Attributes
}

// Link is one of a span.
type Link struct{ Attributes Attributes }

// Batch is what a plugin with a projection is given of the data. It panics when data and projection do not fit.
func (d Data) Batch(projection *traceweir.Projection) *traceweir.Batch {
	batch, err := traceweir.ReadBatch(d.Encode(projection))
	if err == nil && !d.Summary {
		err = batch.Require(projection)
	}
	if err != nil {
		panic(err)
	}
	return batch
}

// value is one that is written as Go has it.
func value(of any) traceweir.Value {
	switch of := of.(type) {
	case nil:
		return traceweir.EmptyValue()
	case string:
		return traceweir.StringValue(of)
	case int:
		return traceweir.IntValue(int64(of))
	case float64:
		return traceweir.DoubleValue(of)
	case bool:
		return traceweir.BoolValue(of)
	case traceweir.Value:
		return of
	}
	panic(fmt.Sprintf("plugintest: a %T is no value of an attribute", of))
}
