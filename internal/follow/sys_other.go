//go:build !linux

package follow

import (
	"errors"
	"io/fs"
	"os"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// Following files needs /proc/self/fd. Standard input can be followed anywhere.
const supported = false

var errSystem = errors.New("following files works on Linux only")

type file = paths.ID

type status struct {
	file
	size  int64
	mtime int64
	links uint64
}

func (s *status) regular() bool       { return false }
func (s *status) kind() string        { return "a file" }
func statusOfInfo(fs.FileInfo) status { return status{} }
func statPath(string) (status, error) { return status{}, errSystem }
func statFD(int) (status, error)      { return status{}, errSystem }
func lock(*os.File) error             { return errSystem }
func unlock(*os.File)                 {}

func nextData(_ int, offset, _ int64) int64 { return offset }
func hasWriters(int) bool                   { return false }
func descriptors() int                      { return 256 }
