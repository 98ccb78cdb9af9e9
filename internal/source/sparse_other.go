//go:build !linux

package source

import (
	"io/fs"

	"github.com/tomoscrape/tomoscrape/internal/sparse"
)

// holes is nil: files are read with their holes.
func (d *disk) holes(fs.FileInfo) *sparse.Reader { return nil }
