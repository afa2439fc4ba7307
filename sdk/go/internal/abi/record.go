//go:build wasm

package abi

import (
	"encoding/binary"
	"unsafe"
)

// Record is memory in which a record, a variant or the elements of a list are put together, by offset. What it
// points to is held until [Release].
type Record []byte

// NewRecord is a record of so many bytes, all 0.
func NewRecord(size int) Record {
	memory := Memory(uint32(max(size, 1)))
	Hold(unsafe.Pointer(&memory[0]))
	return memory
}

// Address is what a function returns whose result is the record.
func (r Record) Address() unsafe.Pointer { return unsafe.Pointer(&r[0]) }

// U8 puts a byte: an enum, a bool, which case a variant has.
func (r Record) U8(at int, value uint8) { r[at] = value }

// Bool puts a bool.
func (r Record) Bool(at int, is bool) {
	if is {
		r[at] = 1
	}
}

// U16 puts a number.
func (r Record) U16(at int, value uint16) { binary.LittleEndian.PutUint16(r[at:], value) }

// U32 puts a number.
func (r Record) U32(at int, value uint32) { binary.LittleEndian.PutUint32(r[at:], value) }

// U64 puts a number.
func (r Record) U64(at int, value uint64) { binary.LittleEndian.PutUint64(r[at:], value) }

// Text puts a string.
func (r Record) Text(at int, text string) {
	r.pointer(at, unsafe.Pointer(unsafe.StringData(text)), len(text))
}

// Bytes puts a list of bytes.
func (r Record) Bytes(at int, bytes []byte) {
	r.pointer(at, unsafe.Pointer(unsafe.SliceData(bytes)), len(bytes))
}

// List puts a list of count elements, and returns the memory of its elements, of a size each.
func (r Record) List(at, count, size int) Record {
	elements := NewRecord(count * size)
	r.pointer(at, elements.Address(), count)
	return elements
}

// Texts puts a list of strings.
func (r Record) Texts(at int, texts []string) {
	list := r.List(at, len(texts), 8)
	for i, text := range texts {
		list.Text(i*8, text)
	}
}

func (r Record) pointer(at int, to unsafe.Pointer, count int) {
	if count == 0 {
		to = unsafe.Pointer(&nothing)
	}
	Hold(to)
	r.U32(at, address(to))
	r.U32(at+4, uint32(count))
}

// Borrow puts a string that the caller holds on to: what is passed to the host, which reads it during the call.
func (r Record) Borrow(at int, text string) {
	r.U32(at, address(unsafe.Pointer(unsafe.StringData(text))))
	r.U32(at+4, uint32(len(text)))
}

// Word reads a number.
func Word(area []byte, at int) uint32 { return binary.LittleEndian.Uint32(area[at:]) }
