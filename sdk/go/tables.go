package traceweir

import "github.com/traceweir/traceweir/sdk/go/codes"

// Budget says what may be kept in the window and what was, for each value of its attribute.
type Budget struct {
	// Keys has the values that occur; one empty text where there is one budget for all.
	Keys Texts
	// Limits has the rows that may be kept, for each key.
	Limits []uint64
	// Used has the rows that were kept, for each key.
	Used  []uint64
	index []uint32
}

// Of is the key that a row, or a trace, counts for; -1 where it counts for none.
func (b Budget) Of(i int) int {
	if key := b.index[i]; key != codes.None {
		return int(key)
	}
	return -1
}

// Left is how many rows may still be kept for a key.
func (b Budget) Left(key int) uint64 {
	if b.Used[key] >= b.Limits[key] {
		return 0
	}
	return b.Limits[key] - b.Used[key]
}

// TraceTable has what a tail sampler decides on, an entry of each list for each trace.
type TraceTable struct {
	IDs [][16]byte
	// Starts are in nanoseconds since 1970.
	Starts []uint64
	// Durations are from the first start to the last end, in nanoseconds.
	Durations []uint64
	Spans     []uint32
	// Errors says how many spans have the status error.
	Errors []uint32
	// Services says how many services took part.
	Services []uint32
	// RootNames are empty where no root was seen, RootServices also.
	RootNames    Texts
	RootServices Texts
	ends         []uint32
	states       []uint8
}

// Len is the number of traces.
func (t TraceTable) Len() int { return len(t.IDs) }

// Rows says which rows a trace has: from start to before end. None at level summary.
func (t TraceTable) Rows(trace int) (start, end int) {
	if trace > 0 {
		start = int(t.ends[trace-1])
	}
	return start, int(t.ends[trace])
}

// Complete says whether every parent of its spans is there.
func (t TraceTable) Complete(trace int) bool { return t.states[trace]&1 != 0 }

// Late says whether it was decided before.
func (t TraceTable) Late(trace int) bool { return t.states[trace]&2 != 0 }
