// Package random has chance, which crypto/rand has not in a plugin. Processors have it; samplers give the same
// answer whenever they are asked.
package random
