// Package refresher is for plugins that fetch what tables are made of, off the path of data.
package refresher

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Table replaces the one of its name.
type Table struct {
	Name    string
	Entries []Entry
}

// Entry is a key and its value.
type Entry struct{ Key, Value string }

// Refresher is a plugin of the world table-refresher-plugin.
type Refresher interface {
	// IntervalSeconds is asked once, after configure.
	IntervalSeconds() uint32
	// Refresh makes tables. With an error they stay as they are.
	Refresh() ([]Table, error)
}

var instance Refresher

// Register makes the program this plugin; an init function calls it. configure is called once, with the
// configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Refresher, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, err = configure(config)
		return &traceweir.Projection{}, err
	})
}
