package traceweir

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// few texts are found by looking at each; more have places.
const few = 8

// numbering numbers texts in the order in which they are first seen.
type numbering struct {
	texts []string
	// places has numbers, plus 1, where the hashes of their texts say; at most half are taken. With a map of Go a new
	// text takes 0.1 us more in Wasm.
	places []uint32
	last   uint32
}

// of is the number of a text. The same one again and again, as in a run of rows, costs a comparison.
func (n *numbering) of(text string) uint32 {
	if int(n.last) < len(n.texts) && n.texts[n.last] == text {
		return n.last
	}
	n.last = n.find(text)
	return n.last
}

// isLast says whether a text is the very one that was numbered last.
func (n *numbering) isLast(text string) bool {
	last := n.texts[n.last]
	return len(text) == len(last) && unsafe.StringData(text) == unsafe.StringData(last)
}

// find is the number of a text, which gets the next one if it has none.
func (n *numbering) find(text string) uint32 {
	if len(n.texts) < few {
		if at := slices.Index(n.texts, text); at >= 0 {
			return uint32(at)
		}
		n.texts = append(n.texts, text)
		return uint32(len(n.texts) - 1)
	}
	if 2*len(n.texts) >= len(n.places) {
		n.places = make([]uint32, max(8*few, 4*len(n.places)))
		for number, text := range n.texts {
			*n.place(text) = uint32(number) + 1
		}
	}
	place := n.place(text)
	if *place == 0 {
		n.texts = append(n.texts, text)
		*place = uint32(len(n.texts))
	}
	return *place - 1
}

// place is where a text has its place, or would have.
func (n *numbering) place(text string) *uint32 {
	last := len(n.places) - 1
	for at := int(hashOf(text)) & last; ; at = (at + 1) & last {
		if number := n.places[at]; number == 0 || n.texts[number-1] == text {
			return &n.places[at]
		}
	}
}

func hashOf(text string) uint64 {
	// Spreads what it is multiplied with over the upper bits.
	const odd = 0x9e3779b97f4a7c15
	bytes := unsafe.Slice(unsafe.StringData(text), len(text))
	hash := uint64(len(bytes))
	for ; len(bytes) >= 8; bytes = bytes[8:] {
		hash = (bits.RotateLeft64(hash, 29) ^ binary.LittleEndian.Uint64(bytes)) * odd
	}
	rest := uint64(0)
	for _, b := range bytes {
		rest = rest<<8 | uint64(b)
	}
	hash = (bits.RotateLeft64(hash, 29) ^ rest) * odd
	return hash ^ hash>>32
}

// So many entries tell whether a column is a dictionary: with more different values it is none
// (docs/reference/plugin-buffer.md, "One way to write").
const (
	sample    = 128
	different = sample / 8 * 7
)

// entries are texts, or bytes, on their way into an answer, and which of them each entry has.
type entries struct {
	values numbering
	index  []uint32
	// given is how many entries of a column have been given a value, as long as they come in their order; next is
	// the first of those that may come.
	given, next int
	// loose: they do not come in their order.
	loose bool
	// each: nearly all are different, and are not looked for any more.
	each bool
}

func (e *entries) push(text string) {
	e.index = append(e.index, e.values.of(text))
}

// put gives entry i, of so many, a value by its number.
func (e *entries) put(i, count int, value uint32) {
	if len(e.index) < count {
		e.grow(count)
	}
	e.index[i] = value
}

// putText gives entry i of a column, of so many, a text, or bytes.
func (e *entries) putText(i, count int, text string) {
	if i < e.next {
		e.loosen()
	}
	if e.each {
		e.put(i, count, uint32(len(e.values.texts)))
		e.values.texts = append(e.values.texts, text)
	} else {
		e.put(i, count, e.values.of(text))
	}
	e.next = i + 1
	e.given++
	if e.given == sample && !e.loose {
		e.each = len(e.values.texts) > different
	}
}

// loosen: entries come in any order from now on.
func (e *entries) loosen() {
	if e.each {
		texts := e.values.texts
		e.values, e.each = numbering{}, false
		for i, value := range e.index {
			if value != codes.None {
				e.index[i] = e.values.of(texts[value])
			}
		}
	}
	e.loose = true
}

// grow makes room for so many entries.
func (e *entries) grow(count int) {
	e.index = slices.Grow(e.index, count-len(e.index))
	for len(e.index) < count {
		e.index = append(e.index, codes.None)
	}
}

func (e *entries) clear(i int) {
	if i < len(e.index) && e.index[i] != codes.None {
		e.loosen()
		e.index[i] = codes.None
	}
}

// at is the value of entry i; empty where it has none.
func (e *entries) at(i int) string {
	if i < len(e.index) && e.index[i] != codes.None {
		return e.values.texts[e.index[i]]
	}
	return ""
}

func (e *entries) empty() bool {
	return !slices.ContainsFunc(e.index, func(value uint32) bool { return value != codes.None })
}

// encode writes the section of a list, or of reasons.
func (e *entries) encode(w *writer) { e.encodeAs(w, false) }

// encodeColumn writes a section of a column, where nearly all values are different each by itself.
func (e *entries) encodeColumn(w *writer) {
	if e.each {
		e.encodeEach(w)
	} else {
		e.encodeAs(w, true)
	}
}

// encodeEach writes the section: a value for each entry.
func (e *entries) encodeEach(w *writer) {
	w.body = appendNumbers(w.body, []uint32{uint32(len(e.index)), 0, 0})
	end := uint32(0)
	for i := range e.index {
		end += uint32(len(e.at(i)))
		w.body = binary.LittleEndian.AppendUint32(w.body, end)
	}
	w.body = slices.Grow(w.body, int(end))
	for i := range e.index {
		w.body = append(w.body, e.at(i)...)
	}
}

// encodeAs writes the section: values in the order in which entries first have them.
func (e *entries) encodeAs(w *writer, column bool) {
	order := make([]string, 0, len(e.values.texts))
	numbers := make([]uint32, len(e.values.texts))
	index := make([]uint32, len(e.index))
	bytes, given := 0, 0
	for i, value := range e.index {
		if value == codes.None {
			index[i] = codes.None
			continue
		}
		if numbers[value] == 0 {
			text := e.values.texts[value]
			bytes += len(text)
			order = append(order, text)
			numbers[value] = uint32(len(order))
		}
		index[i] = numbers[value] - 1
		if given++; column && given == sample && len(order) > different {
			e.encodeEach(w)
			return
		}
	}
	w.body = slices.Grow(w.body, 12+4*len(index)+4*len(order)+bytes)
	w.body = appendNumbers(w.body, []uint32{uint32(len(order)), uint32(len(index))})
	w.body = appendNumbers(w.body, index)
	end := uint32(0)
	w.body = binary.LittleEndian.AppendUint32(w.body, end)
	for _, text := range order {
		end += uint32(len(text))
		w.body = binary.LittleEndian.AppendUint32(w.body, end)
	}
	for _, text := range order {
		w.body = append(w.body, text...)
	}
}

// Values is a column of an answer: for each entry a new value, a removal, or nothing.
type Values struct {
	tags  []uint8
	words []uint64 // empty until an entry has one
	texts entries
	blobs entries
}

func (v *Values) sized(count int) *Values {
	if v.tags == nil {
		v.tags = make([]uint8, count)
	}
	return v
}

// grow makes room for entries that are told one by one.
func (v *Values) grow(count int) {
	v.tags = append(v.tags, make([]uint8, count-len(v.tags))...)
	if v.words != nil {
		v.words = append(v.words, make([]uint64, count-len(v.words))...)
	}
	v.texts.grow(count)
	v.blobs.grow(count)
}

// Len is the number of entries.
func (v *Values) Len() int { return len(v.tags) }

// At is the new value of entry i: absent where it stays as it is. Of one that is removed the type is [Removed].
func (v *Values) At(i int) Value {
	value := Value{Type: Type(v.tags[i])}
	switch value.Type {
	case String:
		value.text = v.texts.at(i)
	case Int, Double, Bool:
		value.word = v.words[i]
	case Bytes, Array, Map:
		value.text = v.blobs.at(i)
	}
	return value
}

// Put gives entry i a value; one that is absent leaves it as it is.
func (v *Values) Put(i int, value Value) {
	v.tag(i, value.Type)
	switch value.Type {
	case String:
		v.texts.putText(i, len(v.tags), value.text)
	case Int, Double, Bool:
		v.word(i, value.word)
	case Bytes, Array, Map:
		v.blobs.putText(i, len(v.tags), value.text)
	}
}

// PutText gives entry i a string.
func (v *Values) PutText(i int, text string) {
	v.tag(i, String)
	v.texts.putText(i, len(v.tags), text)
}

// PutInt gives entry i a whole number.
func (v *Values) PutInt(i int, number int64) {
	v.tag(i, Int)
	v.word(i, uint64(number))
}

// PutDouble gives entry i a floating point number.
func (v *Values) PutDouble(i int, number float64) {
	v.tag(i, Double)
	v.word(i, math.Float64bits(number))
}

// Remove removes the attribute of entry i; it empties a tracestate or a status message.
func (v *Values) Remove(i int) {
	v.tag(i, Removed)
}

// tag sets the type, and forgets the value from before.
func (v *Values) tag(i int, t Type) {
	if v.tags[i] != codes.TagAbsent {
		v.texts.clear(i)
		v.blobs.clear(i)
		if v.words != nil {
			v.words[i] = 0
		}
	}
	v.tags[i] = uint8(t)
}

func (v *Values) word(i int, word uint64) {
	if v.words == nil {
		v.words = make([]uint64, len(v.tags))
	}
	v.words[i] = word
}

// encode writes its sections; none where every entry stays as it is.
func (v *Values) encode(w *writer, kind uint16, domain uint8, argument uint32) {
	numeric, said := false, false
	for _, tag := range v.tags {
		said = said || tag != codes.TagAbsent
		numeric = numeric || tag == codes.TagInt || tag == codes.TagDouble || tag == codes.TagBool
	}
	if !said {
		return
	}
	w.section(kind, codes.LayoutU8, domain, argument)
	w.body = append(w.body, v.tags...)
	if numeric {
		w.section(kind, codes.LayoutU64, domain, argument)
		w.body = appendNumbers(w.body, v.words)
	}
	if !v.texts.empty() {
		w.section(kind, codes.LayoutText, domain, argument)
		v.texts.encodeColumn(w)
	}
	if !v.blobs.empty() {
		w.section(kind, codes.LayoutBlob, domain, argument)
		v.blobs.encodeColumn(w)
	}
}
