// My-plugin is a processor that drops the spans of health checks.
package main

import (
	"slices"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/processor"
)

func init() {
	processor.Register(traceweir.Info{
		Name:        "my-plugin",
		Version:     "0.1.0",
		Description: "drops the spans of health checks",
		// Same batch, same answer: the host may run an instance per thread.
		Stateless: true,
	}, configure)
}

// Go wants it; nobody calls it.
func main() {}

// settings are the configuration. What it does not have stays as configure has set it.
type settings struct {
	// Paths are those that are asked for by health checks.
	Paths []string `json:"paths"`
}

type plugin struct {
	settings
	path traceweir.Read
}

// configure is called once, before any batch. It says what is read and written: nothing else is passed.
func configure(json []byte) (processor.Processor, *traceweir.Projection, error) {
	p := plugin{settings: settings{Paths: []string{"/healthz"}}}
	if err := config.Read(json, &p.settings); err != nil {
		return nil, nil, err
	}
	if len(p.Paths) == 0 {
		return nil, nil, config.Wrong("$.paths", "must name a path")
	}
	projection := &traceweir.Projection{}
	p.path = projection.Read(traceweir.Attribute{Owner: traceweir.Span, Key: "url.path"})
	return p, projection, nil
}

// Process is called for each batch.
func (p plugin) Process(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer, paths := batch.Edits(), batch.Column(p.path)
	for row := range batch.Rows() {
		if path, ok := paths.Text(row); ok && slices.Contains(p.Paths, path) {
			answer.Drop(row, "health check")
		}
	}
	return answer, nil
}
