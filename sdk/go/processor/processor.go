// Package processor is for plugins that see every batch on ingest: they enrich, redact, rename, drop.
package processor

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Processor is a plugin of the world span-processor-plugin.
type Processor interface {
	// Process edits a batch: the answer begins as batch.Edits(). An error makes the attachment's on_failure apply
	// to the batch.
	Process(batch *traceweir.Batch) (*traceweir.Answer, error)
}

var instance Processor

// Register makes the program this plugin; an init function calls it. configure is called once, before any batch,
// with the configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Processor, *traceweir.Projection, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, projection, err = configure(config)
		return projection, err
	})
}
