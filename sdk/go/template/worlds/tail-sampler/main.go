// My-plugin is a tail sampler that keeps traces with errors, those that take long, and a share of the rest.
package main

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/tailsampler"
)

func init() {
	tailsampler.Register(traceweir.Info{
		Name:        "my-plugin",
		Version:     "0.1.0",
		Description: "keeps traces with errors, slow ones, and a share of the rest",
		// Same traces, same decisions: replicas and replays agree.
		Stateless: true,
	}, configure)
}

// Go wants it; nobody calls it.
func main() {}

// settings are the configuration. What it does not have stays as configure has set it.
type settings struct {
	// SlowMS is from how many milliseconds on a trace takes long.
	SlowMS uint32 `json:"slow_ms"`
	// Ratio is the share that is kept of all other traces.
	Ratio float64 `json:"ratio"`
}

type plugin struct{ settings }

// configure is called once, before any batch. The table of traces says enough: no column of their spans is read.
func configure(json []byte) (tailsampler.Sampler, *traceweir.Projection, error) {
	p := plugin{settings{SlowMS: 500, Ratio: 0.1}}
	if err := config.Read(json, &p.settings); err != nil {
		return nil, nil, err
	}
	if p.Ratio < 0 || p.Ratio > 1 {
		return nil, nil, config.Wrong("$.ratio", "must be from 0 to 1")
	}
	return p, &traceweir.Projection{}, nil
}

// Level says what it is given.
func (p plugin) Level() tailsampler.Level { return tailsampler.Summary }

// Decide is called when nothing more is expected of some traces.
func (p plugin) Decide(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer, traces := batch.Decisions(), batch.Traces()
	for trace, errors := range traces.Errors {
		switch {
		case errors > 0:
			answer.Decide(trace, traceweir.Keep, "error")
		case traces.Durations[trace] >= uint64(p.SlowMS)*1_000_000:
			answer.Decide(trace, traceweir.Keep, "slow")
		default:
			// The host draws, by the id of the trace.
			answer.Decide(trace, traceweir.KeepRatio(p.Ratio), "ratio")
		}
	}
	return answer, nil
}
