package traceweir

import (
	"unicode/utf8"
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Texts are a text, or bytes, for each entry: values that each stand once and an index that says which of them an
// entry has, or a value for each entry. What depends on the value alone is worked out once for each [Texts.Value],
// and found for an entry by [Texts.Index].
//
// The strings lie in the batch. They stay what they are after the call, but one that is kept keeps the batch in
// memory: strings.Clone what outlives it.
type Texts struct {
	index  []uint32 // nil: entry i has value i
	ends   []uint32
	heap   string
	sparse bool
}

func readTexts(s section) (Texts, error) {
	short := s.bad("shorter than its texts")
	if len(s.data) < 8 {
		return Texts{}, short
	}
	head := numbers[uint32](s.data[:8])
	values, indices := uint64(head[0]), uint64(head[1])
	heapAt := 8 + 4*indices + 4*(values+1)
	if heapAt > uint64(len(s.data)) {
		return Texts{}, short
	}
	rest := numbers[uint32](s.data[8:heapAt])
	texts := Texts{index: rest[:indices], ends: rest[indices:], sparse: indices > 0}
	last := uint32(0)
	for i, end := range texts.ends {
		if end < last || (i == 0 && end != 0) {
			return Texts{}, s.bad("a text ends before it begins")
		}
		last = end
	}
	heap := s.data[heapAt:]
	if uint64(last) > uint64(len(heap)) {
		return Texts{}, short
	}
	texts.heap = unsafe.String(unsafe.SliceData(heap), int(last))
	if s.layout == codes.LayoutText && !texts.valid() {
		return Texts{}, s.bad("a text is not UTF-8")
	}
	return texts, nil
}

func (t Texts) valid() bool {
	if !utf8.ValidString(t.heap) {
		return false
	}
	for _, end := range t.ends {
		if int(end) < len(t.heap) && !utf8.RuneStart(t.heap[end]) {
			return false
		}
	}
	return true
}

// check refuses too few entries, and an index that leads nowhere.
func (t Texts) check(s section, entries int) error {
	if t.Len() < entries {
		return s.bad("too few entries")
	}
	values := uint32(t.Values())
	for _, value := range t.index {
		if value >= values && value != codes.None {
			return s.bad("an index leads nowhere")
		}
	}
	return nil
}

// Len is the number of entries.
func (t Texts) Len() int {
	if t.sparse {
		return len(t.index)
	}
	return t.Values()
}

// Values is the number of values: each stands once, or every entry has its own.
func (t Texts) Values() int {
	return max(len(t.ends)-1, 0)
}

// Size is how many bytes all values have together.
func (t Texts) Size() int { return len(t.heap) }

// Value is the value with this number, below [Texts.Values].
func (t Texts) Value(value int) string {
	return t.heap[t.ends[value]:t.ends[value+1]]
}

// Index is the number of the value that entry i has; -1 where it has none.
func (t Texts) Index(i int) int {
	if !t.sparse {
		return i
	}
	if value := t.index[i]; value != codes.None {
		return int(value)
	}
	return -1
}

// At is the text of entry i; empty where it has none.
func (t Texts) At(i int) string {
	if value := t.Index(i); value >= 0 {
		return t.Value(value)
	}
	return ""
}
