// My-plugin is a router: whose spans they are is told by the namespace of their resource.
package main

import (
	"slices"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/router"
)

func init() {
	router.Register(traceweir.Info{
		Name:        "my-plugin",
		Version:     "0.1.0",
		Description: "says whose spans they are, by their namespace",
		// Same batch, same answer: the host may run an instance per thread.
		Stateless: true,
	}, configure)
}

// Go wants it; nobody calls it.
func main() {}

// settings are the configuration.
type settings struct {
	// Tenants are those of namespaces.
	Tenants map[string]string `json:"tenants"`
}

type plugin struct {
	settings
	routes    []string
	namespace traceweir.Read
}

// configure is called once, before any batch. It says what is read: nothing else is passed.
func configure(json []byte) (router.Router, *traceweir.Projection, error) {
	p := plugin{}
	if err := config.Read(json, &p.settings); err != nil {
		return nil, nil, err
	}
	if p.Tenants == nil {
		return nil, nil, config.Missing("$.tenants")
	}
	for _, tenant := range p.Tenants {
		if !slices.Contains(p.routes, tenant) {
			p.routes = append(p.routes, tenant)
		}
	}
	// Maps have no order, and every instance is to say the same.
	slices.Sort(p.routes)
	projection := &traceweir.Projection{}
	p.namespace = projection.Read(traceweir.Attribute{Owner: traceweir.Resource, Key: "k8s.namespace.name"})
	return p, projection, nil
}

// Routes are the tenants that it may name.
func (p plugin) Routes() []string { return p.routes }

// Route is called for each batch: where each resource goes.
func (p plugin) Route(batch *traceweir.Batch) ([]uint16, error) {
	namespaces, places := batch.Column(p.namespace), make([]uint16, batch.Resources())
	for resource := range places {
		places[resource] = router.Stay
		namespace, _ := namespaces.Text(resource)
		if tenant, ok := p.Tenants[namespace]; ok {
			places[resource] = uint16(slices.Index(p.routes, tenant))
		}
	}
	return places, nil
}
