// Enrich is a processor that tells each span the team of its resource's namespace.
package main

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/processor"
)

func init() {
	processor.Register(traceweir.Info{
		Name:        "enrich",
		Version:     "0.1.0",
		Description: "tells spans the team of their namespace",
		Stateless:   true,
	}, configure)
}

func main() {}

type settings struct {
	// Teams are by their namespaces.
	Teams map[string]string `json:"teams"`
}

type enrich struct {
	teams     map[string]string
	namespace traceweir.Read
	team      traceweir.Write
}

func configure(json []byte) (processor.Processor, *traceweir.Projection, error) {
	var s settings
	if err := config.Read(json, &s); err != nil {
		return nil, nil, err
	}
	if s.Teams == nil {
		return nil, nil, config.Missing("$.teams")
	}
	projection := &traceweir.Projection{}
	return &enrich{
		teams:     s.Teams,
		namespace: projection.Read(traceweir.Attribute{Owner: traceweir.Resource, Key: "k8s.namespace.name"}),
		team:      projection.Write(traceweir.Attribute{Owner: traceweir.Span, Key: "team"}),
	}, projection, nil
}

func (e *enrich) Process(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer := batch.Edits()
	// Each resource says it for all its spans.
	namespaces, teams := batch.Column(e.namespace), answer.Set(e.team, traceweir.Resource)
	for resource := range batch.Resources() {
		if namespace, ok := namespaces.Text(resource); ok {
			if team, ok := e.teams[namespace]; ok {
				teams.PutText(resource, team)
			}
		}
	}
	return answer, nil
}
