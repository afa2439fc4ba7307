// Package guest is what every plugin exports, whatever its world.
package guest

import traceweir "github.com/traceweir/traceweir/sdk/go"

// plugin is what was registered.
type plugin struct {
	info traceweir.Info
	// configure makes the instance.
	configure func(config []byte) (*traceweir.Projection, error)
}

var (
	registered *plugin
	// required is what every batch must have; nil until there is an instance.
	required *traceweir.Projection
)

// Register is called once, when the program starts.
func Register(info traceweir.Info, configure func(config []byte) (*traceweir.Projection, error)) {
	if registered != nil {
		panic("traceweir: two plugins are registered, and a module is one")
	}
	registered = &plugin{info, func(config []byte) (*traceweir.Projection, error) {
		projection, err := configure(config)
		if err == nil && required == nil {
			required = projection
		}
		return projection, err
	}}
}

// Require says what every batch must have, if that is not all that the projection reads.
func Require(projection *traceweir.Projection) { required = projection }

// Read reads a batch and holds it against the projection.
func Read(data []byte) (*traceweir.Batch, error) {
	batch, err := traceweir.ReadBatch(data)
	if err == nil {
		err = batch.Require(required)
	}
	return batch, err
}
