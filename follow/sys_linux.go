package follow

import (
	"os"
	"syscall"
)

const supported = true

// file tells files apart whatever their names.
type file struct{ Device, Inode uint64 }

// status is what the system says of a file.
type status struct {
	file
	size  int64
	mtime int64 // ns
	links uint64
	mode  uint32
}

func (s *status) regular() bool   { return s.mode&syscall.S_IFMT == syscall.S_IFREG }
func (s *status) directory() bool { return s.mode&syscall.S_IFMT == syscall.S_IFDIR }

// kind names what is no regular file.
func (s *status) kind() string {
	switch s.mode & syscall.S_IFMT {
	case syscall.S_IFIFO:
		return "a named pipe"
	case syscall.S_IFSOCK:
		return "a socket"
	case syscall.S_IFBLK, syscall.S_IFCHR:
		return "a device"
	case syscall.S_IFDIR:
		return "a directory"
	}
	return "a special file"
}

func statusOf(st *syscall.Stat_t) status {
	return status{file{uint64(st.Dev), st.Ino}, st.Size, st.Mtim.Nano(), uint64(st.Nlink), st.Mode}
}

// statPath follows symbolic links.
func statPath(path string) (status, error) {
	var st syscall.Stat_t
	if err := retry(func() error { return syscall.Stat(path, &st) }); err != nil {
		return status{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return statusOf(&st), nil
}

func statFD(fd int) (status, error) {
	var st syscall.Stat_t
	if err := retry(func() error { return syscall.Fstat(fd, &st) }); err != nil {
		return status{}, os.NewSyscallError("fstat", err)
	}
	return statusOf(&st), nil
}

func retry(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// lock takes the lock of a file that is open, or fails at once if somebody has it.
func lock(f *os.File) error {
	return retry(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
}

// unlock gives the lock back, whoever else has the file open by the same opening.
func unlock(f *os.File) {
	_ = retry(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) })
}

// seekData is lseek's SEEK_DATA: the next byte at or behind an offset that lies in
// no hole of a sparse file.
const seekData = 3

// nextData is where data goes on behind a hole: at offset if there is none, at size
// if nothing comes any more.
func nextData(fd int, offset, size int64) int64 {
	switch at, err := syscall.Seek(fd, offset, seekData); {
	case err == nil:
		return min(max(at, offset), size)
	case err == syscall.ENXIO:
		return size
	}
	return offset // the file system does not know
}
