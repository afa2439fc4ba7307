// Keep-interesting is a head sampler that keeps what failed, what was slow, and a share of the rest. All spans that a
// batch has of a trace share their fate.
package main

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/codes"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/headsampler"
)

func init() {
	headsampler.Register(traceweir.Info{
		Name:        "keep-interesting",
		Version:     "0.1.0",
		Description: "keeps traces with errors, slow ones, and a share of the rest",
		ConfigSchema: `{
			"type": "object",
			"properties": {
				"slow_ms": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
				"ratio": { "type": "number", "minimum": 0, "maximum": 1 }
			},
			"additionalProperties": false
		}`,
		Stateless: true,
	}, configure)
}

func main() {}

type settings struct {
	// SlowMS is from how many milliseconds on a span is slow.
	SlowMS uint32 `json:"slow_ms"`
	// Ratio is the share that is kept of all other traces.
	Ratio float64 `json:"ratio"`
}

type keepInteresting struct{ settings }

func configure(json []byte) (headsampler.Sampler, *traceweir.Projection, error) {
	s := settings{SlowMS: 500, Ratio: 0.1}
	if err := config.Read(json, &s); err != nil {
		return nil, nil, err
	}
	if s.Ratio < 0 || s.Ratio > 1 {
		return nil, nil, config.Wrong("$.ratio", "must be from 0 to 1")
	}
	projection := &traceweir.Projection{}
	projection.Read(traceweir.TraceID)
	projection.Read(traceweir.Duration)
	projection.Read(traceweir.StatusCode)
	return keepInteresting{s}, projection, nil
}

// why says why a trace is kept, from the weakest reason to the strongest.
type why uint8

const (
	byRatio why = iota
	slow
	failed
)

func (k keepInteresting) Sample(batch *traceweir.Batch) (*traceweir.Answer, error) {
	groups, traces := batch.TraceGroups()
	durations, statuses := batch.Durations(), batch.StatusCodes()
	reasons := make([]why, traces)
	for row, trace := range groups {
		switch {
		case statuses[row] == codes.StatusError:
			reasons[trace] = failed
		case durations[row] >= uint64(k.SlowMS)*1_000_000:
			reasons[trace] = max(reasons[trace], slow)
		}
	}
	answer := batch.Decisions()
	for row, trace := range groups {
		switch reasons[trace] {
		case failed:
			answer.Decide(row, traceweir.Keep, "error")
		case slow:
			answer.Decide(row, traceweir.Keep, "slow")
		default:
			answer.Decide(row, traceweir.KeepRatio(k.Ratio), "ratio")
		}
	}
	return answer, nil
}
