package paths

import (
	"io/fs"
	"syscall"
)

// ID tells files apart whatever their names.
type ID struct{ Device, Inode uint64 }

// IDOf gives the identity of a file; both Linux and Darwin have it.
func IDOf(info fs.FileInfo) (ID, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ID{}, false
	}
	return ID{uint64(st.Dev), uint64(st.Ino)}, true
}
