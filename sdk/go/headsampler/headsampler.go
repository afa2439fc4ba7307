// Package headsampler is for plugins that see every batch on ingest, before all processors, and decide on each row.
// Rows of one trace in one batch must have the same verdict, which the host checks. They have neither clock nor
// chance nor cache: their answers can be had again.
package headsampler

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Sampler is a plugin of the world head-sampler-plugin.
type Sampler interface {
	// Sample decides on the rows of a batch: the answer begins as batch.Decisions(). An error makes the
	// attachment's on_failure apply to the batch.
	Sample(batch *traceweir.Batch) (*traceweir.Answer, error)
}

var instance Sampler

// Register makes the program this plugin; an init function calls it. configure is called once, before any batch,
// with the configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Sampler, *traceweir.Projection, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, projection, err = configure(config)
		return projection, err
	})
}
