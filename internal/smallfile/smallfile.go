// Package smallfile reads files that configure: small ones, whatever the user
// named by mistake.
package smallfile

import (
	"fmt"
	"io"
	"os"
)

// Read reads a file of limit bytes at most. A longer one, such as a device without
// end, is an error of the form of the file system's, a [*os.PathError].
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &os.PathError{Op: "read", Path: path, Err: TooLongError(limit)}
	}
	return data, err
}

// TooLongError is the limit that a file is beyond, in bytes.
type TooLongError int64

func (e TooLongError) Error() string {
	if e >= 1<<20 {
		return fmt.Sprintf("it is longer than %d MiB; is it the right file?", e>>20)
	}
	return fmt.Sprintf("it is longer than %d KiB; is it the right file?", e>>10)
}
