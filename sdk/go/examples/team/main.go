// Team is a processor that tells which team a resource belongs to, by its Kubernetes namespace.
package main

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/processor"
)

func init() {
	processor.Register(traceweir.Info{
		Name:        "team",
		Version:     "0.1.0",
		Description: "tells which team a resource belongs to, by its namespace",
		ConfigSchema: `{
			"type": "object",
			"properties": {
				"key": { "type": "string", "minLength": 1, "maxLength": 512 },
				"teams": { "type": "object", "additionalProperties": { "type": "string" } }
			},
			"additionalProperties": false
		}`,
		Stateless: true,
	}, configure)
}

func main() {}

type settings struct {
	// Key is of the resource attribute that gets the team.
	Key string `json:"key"`
	// Teams are by their namespaces.
	Teams map[string]string `json:"teams"`
}

type team struct {
	teams     map[string]string
	namespace traceweir.Read
	attribute traceweir.Write
}

func configure(json []byte) (processor.Processor, *traceweir.Projection, error) {
	s := settings{Key: "team"}
	if err := config.Read(json, &s); err != nil {
		return nil, nil, err
	}
	if s.Key == "" || len(s.Key) > 512 {
		return nil, nil, config.Wrong("$.key", "must have 1 to 512 bytes")
	}
	projection := &traceweir.Projection{}
	return &team{
		teams:     s.Teams,
		namespace: projection.Read(traceweir.Attribute{Owner: traceweir.Resource, Key: "k8s.namespace.name"}),
		attribute: projection.Write(traceweir.Attribute{Owner: traceweir.Resource, Key: s.Key}),
	}, projection, nil
}

func (t *team) Process(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer := batch.Edits()
	namespaces, teams := batch.Column(t.namespace), answer.Set(t.attribute, traceweir.Resource)
	for resource := range batch.Resources() {
		if namespace, ok := namespaces.Text(resource); ok {
			if team, ok := t.teams[namespace]; ok {
				teams.PutText(resource, team)
			}
		}
	}
	return answer, nil
}
