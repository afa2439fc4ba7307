// Tenth is a processor that keeps a share of all traces by their ids, and drops the spans of the others.
package main

import (
	"encoding/binary"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/processor"
)

func init() {
	processor.Register(traceweir.Info{
		Name:        "tenth",
		Version:     "0.1.0",
		Description: "keeps a share of all traces by their ids",
		Stateless:   true,
	}, configure)
}

func main() {}

type settings struct {
	// OneIn: one trace in so many is kept.
	OneIn *uint32 `json:"one_in"`
}

// all is what the last 56 bits of an id, which are random, are below.
const all = 1 << 56

type tenth struct {
	// threshold is the least of them that is kept.
	threshold uint64
}

func configure(json []byte) (processor.Processor, *traceweir.Projection, error) {
	var s settings
	if err := config.Read(json, &s); err != nil {
		return nil, nil, err
	}
	if s.OneIn == nil {
		return nil, nil, config.Missing("$.one_in")
	}
	if *s.OneIn == 0 {
		return nil, nil, config.Wrong("$.one_in", "must be 1 or more")
	}
	projection := &traceweir.Projection{}
	projection.Read(traceweir.TraceID)
	return tenth{threshold: all - all/uint64(*s.OneIn)}, projection, nil
}

func (t tenth) Process(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer := batch.Edits()
	ids := batch.TraceIDs()
	for row := range ids {
		if binary.BigEndian.Uint64(ids[row][8:])&(all-1) < t.threshold {
			answer.Drop(row, "")
		}
	}
	return answer, nil
}
