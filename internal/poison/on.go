//go:build poison

package poison

// On says whether memory is overwritten.
const On = true

// garbage is a byte that no log, record or number holds.
const garbage = 0xfe

// Bytes overwrites a buffer that nobody may look at any more.
func Bytes(buffer []byte) {
	for i := range buffer {
		buffer[i] = garbage
	}
}

// List overwrites the elements of a list that nobody may look at any more.
func List[T any](list []T) { clear(list) }
