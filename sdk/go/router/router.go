// Package router is for plugins that choose the tenant of each resource, among those that whoever sends may write.
package router

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Stay leaves a resource with the tenant that it came for.
const Stay = 0xffff

// Router is a plugin of the world router-plugin.
type Router interface {
	// Routes are the tenants that it may name, at most 65,535. Asked once, after configure.
	Routes() []string
	// Route says for each resource, in their order, which of the routes it takes, or [Stay]. An error makes the
	// attachment's on_failure apply to the batch.
	Route(batch *traceweir.Batch) ([]uint16, error)
}

var instance Router

// Register makes the program this plugin; an init function calls it. configure is called once, before any batch,
// with the configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Router, *traceweir.Projection, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, projection, err = configure(config)
		return projection, err
	})
}
