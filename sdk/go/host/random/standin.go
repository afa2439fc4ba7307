//go:build !wasm

package random

import "crypto/rand"

// Bytes is so many random bytes, 64 KiB at most.
func Bytes(count int) []byte {
	bytes := make([]byte, count)
	rand.Read(bytes)
	return bytes
}
