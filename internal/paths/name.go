package paths

import (
	"path"
	"strings"
)

// LastName is the innermost name of a path, which the whole begins with anyway.
func LastName(name string) string {
	return path.Base(name[strings.LastIndexByte(name, '!')+1:])
}
