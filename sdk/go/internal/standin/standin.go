// Package standin answers instead of the host where there is none: in the tests of a plugin, which reach it by
// package plugintest.
package standin

import "sync"

// Host is what is asked and told. Its lock is held by the packages under host.
type Host struct {
	sync.Mutex
	Lines       []Line
	Metrics     []string
	Counted     map[uint32]uint64
	Observed    map[uint32][]float64
	Tables      map[string]map[string]string
	Generations map[string]uint64
	Cache       map[string][]byte
	NowUnixNano uint64
	// Fetch takes a fetch.Request and returns a fetch.Response, or an error.
	Fetch func(request any) (response any, err error)
}

// Line is one of the log; its level is numbered as in the WIT.
type Line struct {
	Level   uint8
	Message string
}

// Current is the one that is asked.
var Current = &Host{}

func init() { Current.Reset() }

// Reset leaves a host that knows nothing.
func (h *Host) Reset() {
	h.Lock()
	defer h.Unlock()
	h.Lines, h.Metrics, h.NowUnixNano, h.Fetch = nil, nil, 0, nil
	h.Counted = map[uint32]uint64{}
	h.Observed = map[uint32][]float64{}
	h.Tables = map[string]map[string]string{}
	h.Generations = map[string]uint64{}
	h.Cache = map[string][]byte{}
}
