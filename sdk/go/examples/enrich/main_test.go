package main

import (
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/vectors"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

func TestSpansGetTheTeamOfTheirNamespace(t *testing.T) {
	plugin, projection, err := configure([]byte(`{"teams": {"shop": "checkout"}}`))
	if err != nil {
		t.Fatal(err)
	}
	batch := plugintest.Data{Resources: []plugintest.Resource{
		{Attributes: plugintest.Attributes{"k8s.namespace.name": "shop"}},
		{Attributes: plugintest.Attributes{"k8s.namespace.name": "kube-system"}},
	}}.Batch(projection)
	answer, err := plugin.Process(batch)
	if err != nil {
		t.Fatal(err)
	}
	teams := answer.Set(0, traceweir.Resource)
	for resource, want := range []string{"checkout", ""} {
		if got := teams.At(resource).Text(); got != want {
			t.Errorf("resource %d has team %q, and not %q", resource, got, want)
		}
	}
}

func TestVectors(t *testing.T) { vectors.Run(t, "enrich", forVectors) }

func TestStrangeBytesAreRefused(t *testing.T) { vectors.Mutate(t, "enrich", forVectors) }

func forVectors(config []byte) (vectors.Call, *traceweir.Projection, error) {
	plugin, projection, err := configure(config)
	if err != nil {
		return nil, nil, err
	}
	return plugin.Process, projection, nil
}
