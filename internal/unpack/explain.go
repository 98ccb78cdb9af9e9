package unpack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/xz"
)

// Explain says in words what is wrong with a layer.
func Explain(what string, err error) string {
	msg := err.Error()
	switch {
	case what == "":
		return "reading failed: " + paths.Reason(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end of the " + what
	case errors.As(err, new(*fs.PathError)):
		return "reading failed: " + paths.Reason(err)
	case errors.Is(err, codec.ErrTrailing), errors.Is(err, zstd.ErrMagicMismatch),
		strings.Contains(msg, "continuation file"):
		return "something else follows the end of the " + what + " and was not read"
	case errors.Is(err, codec.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch),
		strings.Contains(msg, "checksum mismatch"):
		return "the checksum of the " + what + " does not match, it may be damaged"
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return "the " + what + " needs the dictionary that it was packed with; unpack it first: zstd -d -D DICTIONARY"
	case errors.Is(err, xz.ErrFilter):
		return "the " + what + " uses " + err.Error() + ", unpack it first: xz -d"
	case errors.Is(err, codec.ErrWindow), errors.Is(err, zstd.ErrWindowSizeExceeded),
		errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Sprintf("the %s needs a window of more than %d MiB; unpack it first", what, codec.MaxWindow>>20)
	}
	return "the " + what + " is damaged (" + msg + ")"
}
