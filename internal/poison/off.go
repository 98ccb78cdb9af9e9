//go:build !poison

package poison

// On says whether memory is overwritten.
const On = false

// Bytes does nothing.
func Bytes([]byte) {}

// List does nothing.
func List[T any]([]T) {}
