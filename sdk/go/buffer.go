package traceweir

import (
	"encoding/binary"
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Counts says how many there are of what the header of a buffer counts. An answer repeats those of its batch.
type Counts struct {
	Rows, Resources, Scopes, Events, Traces int
}

// of says how many entries a domain has, if the header counts it.
func (c Counts) of(domain uint8) (int, bool) {
	switch domain {
	case codes.DomainSpans:
		return c.Rows, true
	case codes.DomainResources:
		return c.Resources, true
	case codes.DomainScopes:
		return c.Scopes, true
	case codes.DomainEvents:
		return c.Events, true
	case codes.DomainTraces:
		return c.Traces, true
	}
	return 0, false
}

// section is a row of the table, and what it points to; data is nil where it points out of the buffer, which
// matters only to whoever knows the kind.
type section struct {
	kind     uint16
	layout   uint8
	domain   uint8
	argument uint32
	data     []byte
}

func (s section) bad(what string) error { return badSection(s.kind, s.argument, what) }

// readFrame reads header and table.
func readFrame(data []byte, magic uint32) (Counts, []section, error) {
	if len(data) < codes.HeaderBytes {
		return Counts{}, nil, BadInput("the buffer is shorter than a header")
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	if word(0) != magic {
		return Counts{}, nil, BadInput("the buffer has another magic")
	}
	if binary.LittleEndian.Uint16(data[4:]) != codes.Version {
		return Counts{}, nil, BadInput("the buffer has another version")
	}
	counts := Counts{int(word(8)), int(word(12)), int(word(16)), int(word(20)), int(word(24))}
	rows := uint64(word(28))
	if rows*codes.EntryBytes > uint64(len(data)-codes.HeaderBytes) {
		return Counts{}, nil, BadInput("the table of sections reaches out of the buffer")
	}
	sections := make([]section, rows)
	for i := range sections {
		row := data[codes.HeaderBytes+i*codes.EntryBytes:][:codes.EntryBytes]
		sections[i] = section{
			kind:     binary.LittleEndian.Uint16(row),
			layout:   row[2],
			domain:   row[3],
			argument: binary.LittleEndian.Uint32(row[4:]),
		}
		offset, length := uint64(binary.LittleEndian.Uint32(row[8:])), uint64(binary.LittleEndian.Uint32(row[12:]))
		if offset+length <= uint64(len(data)) {
			sections[i].data = data[offset : offset+length : offset+length]
		}
	}
	return counts, sections, nil
}

// writer puts a buffer together, section by section, in the order in which they are to stand.
type writer struct {
	table []byte
	// body has the sections as if the first began at 0.
	body []byte
}

// section begins a section; what is appended to body until the next one is in it.
func (w *writer) section(kind uint16, layout, domain uint8, argument uint32) {
	w.end()
	for len(w.body)%8 != 0 {
		w.body = append(w.body, 0)
	}
	w.table = binary.LittleEndian.AppendUint16(w.table, kind)
	w.table = append(w.table, layout, domain)
	w.table = binary.LittleEndian.AppendUint32(w.table, argument)
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(w.body)))
	w.table = binary.LittleEndian.AppendUint32(w.table, 0)
}

// end writes the length of the section that was begun last.
func (w *writer) end() {
	if len(w.table) == 0 {
		return
	}
	row := w.table[len(w.table)-codes.EntryBytes:]
	offset := binary.LittleEndian.Uint32(row[8:])
	binary.LittleEndian.PutUint32(row[12:], uint32(len(w.body))-offset)
}

func (w *writer) finish(magic uint32, counts Counts) []byte {
	w.end()
	start := codes.HeaderBytes + len(w.table)
	buffer := make([]byte, 0, start+len(w.body))
	for _, word := range [...]int{
		int(magic), codes.Version, counts.Rows, counts.Resources, counts.Scopes, counts.Events, counts.Traces,
		len(w.table) / codes.EntryBytes,
	} {
		buffer = binary.LittleEndian.AppendUint32(buffer, uint32(word))
	}
	for at := 0; at < len(w.table); at += codes.EntryBytes {
		row := w.table[at:]
		offset := binary.LittleEndian.Uint32(row[8:])
		binary.LittleEndian.PutUint32(row[8:], offset+uint32(start))
	}
	buffer = append(buffer, w.table...)
	return append(buffer, w.body...)
}

// littleEndian is constant to the compiler where the plugin runs.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// numbers are the entries in data, whole ones only: in place where the machine can read them there, which is so in
// every plugin, and else a copy.
func numbers[T uint32 | uint64](data []byte) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	n := len(data) / size
	if n == 0 {
		return nil
	}
	if start := unsafe.Pointer(&data[0]); littleEndian && uintptr(start)%uintptr(size) == 0 {
		return unsafe.Slice((*T)(start), n)
	}
	copied := make([]T, n)
	for i := range copied {
		for b := size - 1; b >= 0; b-- {
			copied[i] = copied[i]<<8 | T(data[i*size+b])
		}
	}
	return copied
}

// appendNumbers appends numbers as they stand in a buffer.
func appendNumbers[T uint32 | uint64 | float64](buffer []byte, numbers []T) []byte {
	if len(numbers) == 0 {
		return buffer
	}
	size := int(unsafe.Sizeof(numbers[0]))
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&numbers[0])), size*len(numbers))
	if littleEndian {
		return append(buffer, bytes...)
	}
	for at := 0; at < len(bytes); at += size {
		for b := size - 1; b >= 0; b-- {
			buffer = append(buffer, bytes[at+b])
		}
	}
	return buffer
}

// ids are the entries in data, whole ones only.
func ids[T [8]byte | [16]byte](data []byte) []T {
	var zero T
	n := len(data) / len(zero)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&data[0])), n)
}
