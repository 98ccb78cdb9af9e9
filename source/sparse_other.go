//go:build !linux

package source

import "io/fs"

// holes is nil: files are read with their holes.
func (d *disk) holes(fs.FileInfo) *sparse { return nil }
