package traceweir

import "github.com/traceweir/traceweir/sdk/go/codes"

// TraceGroups says which trace each row is of, and how many traces there are: numbered from 0, in the order in
// which their first rows stand. The projection must read [TraceID].
func (b *Batch) TraceGroups() (of []int32, traces int) {
	// Two words for each id: compared without calls, which are what costs in Wasm made by Go.
	ids := numbers[uint64](b.must(codes.BatchTraceID, 0).data)
	of = make([]int32, len(ids)/2)
	// At most half of the places are taken; each has the first row of a trace, plus 1.
	places := 16
	for places < len(ids) {
		places *= 2
	}
	table := make([]int32, places)
	for row := range of {
		high, low := ids[2*row], ids[2*row+1]
		// Spans of a trace often stand together.
		if row > 0 && high == ids[2*row-2] && low == ids[2*row-1] {
			of[row] = of[row-1]
			continue
		}
		const odd = 0x9e3779b97f4a7c15
		hash := (high*odd ^ low) * odd
		at := int(hash^hash>>32) & (places - 1)
		for {
			first := int(table[at]) - 1
			if first < 0 {
				table[at] = int32(row) + 1
				of[row] = int32(traces)
				traces++
				break
			}
			if ids[2*first] == high && ids[2*first+1] == low {
				of[row] = of[first]
				break
			}
			at = (at + 1) & (places - 1)
		}
	}
	return of, traces
}
