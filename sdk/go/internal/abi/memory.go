//go:build wasm

// Package abi is the canonical ABI of components, by hand: how strings, lists and records lie in memory when they
// cross between host and plugin.
//
// Go's collector does not move what it has allocated, so an address stays good for as long as something points to
// it: what the host has allocated here is held until the function that it is for takes it, and what is returned to
// the host until the host says that it has read it.
package abi

import "unsafe"

// handed is memory that the host has asked for, and that no function has taken yet.
var handed [][]byte

// returned is what the host has not read yet.
var returned []unsafe.Pointer

// nothing is where empty lists lie.
var nothing [16]byte

//go:wasmexport cabi_realloc
func realloc(old, oldSize, _, size uint32) uint32 {
	if size == 0 {
		return address(unsafe.Pointer(&nothing))
	}
	memory := Memory(size)
	if oldSize > 0 {
		copy(memory, Take(old, oldSize))
	}
	handed = append(handed, memory)
	return address(unsafe.Pointer(&memory[0]))
}

func address(of unsafe.Pointer) uint32 { return uint32(uintptr(of)) }

// Memory is new memory, at a multiple of 8.
func Memory(size uint32) []byte {
	words := make([]uint64, (size+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
}

// Take is the memory that the host has written to; from here on it is like any other.
func Take(at, size uint32) []byte {
	if size == 0 {
		return nil
	}
	for i, memory := range handed {
		if address(unsafe.Pointer(&memory[0])) == at {
			handed[i] = handed[len(handed)-1]
			handed[len(handed)-1] = nil
			handed = handed[:len(handed)-1]
			return memory[:size]
		}
	}
	panic("traceweir: the host passes memory that it has not asked for")
}

// TakeAt is the memory of the list whose address and length lie at a place.
func TakeAt(area []byte, at int) []byte {
	return Take(Word(area, at), Word(area, at+4))
}

// TakeText is the string whose address and length lie at a place.
func TakeText(area []byte, at int) string {
	return Text(TakeAt(area, at))
}

// TakeList is the memory of the list of count elements, of a size each, whose address and count lie at a place.
func TakeList(area []byte, at, size int) (elements []byte, count int) {
	count = int(Word(area, at+4))
	return Take(Word(area, at), uint32(count*size)), count
}

// Text is bytes as a string; they must not change any more.
func Text(bytes []byte) string {
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

// Hold keeps what is returned, until [Release].
func Hold(at unsafe.Pointer) {
	returned = append(returned, at)
}

// Release forgets everything that was returned.
func Release() {
	clear(returned)
	returned = returned[:0]
}
