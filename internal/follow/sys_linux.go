package follow

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

const supported = true

type file = paths.ID

// status is what the system says of a file.
type status struct {
	file
	size  int64
	mtime int64 // ns
	links uint64
	mode  fs.FileMode // its type
}

func (s *status) regular() bool { return s.mode.IsRegular() }
func (s *status) kind() string  { return paths.KindOf(s.mode) }

func statusOf(st *syscall.Stat_t) status {
	s := status{file: file{Device: uint64(st.Dev), Inode: st.Ino}, size: st.Size, mtime: st.Mtim.Nano(),
		links: uint64(st.Nlink)}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		s.mode = fs.ModeDir
	case syscall.S_IFIFO:
		s.mode = fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		s.mode = fs.ModeSocket
	case syscall.S_IFBLK, syscall.S_IFCHR:
		s.mode = fs.ModeDevice
	default:
		s.mode = fs.ModeIrregular
	}
	return s
}

// statusOfInfo is what os.Stat says.
func statusOfInfo(info fs.FileInfo) status { return statusOf(info.Sys().(*syscall.Stat_t)) }

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

// hasWriters tells whether somebody has a file open for writing: the system refuses
// a read lease then. Where that cannot be known, since the file is another user's
// and CAP_LEASE is missing, or the file system is on another machine, which refuses
// it in any case, nobody has.
func hasWriters(fd int) bool {
	if lease(fd, syscall.F_RDLCK) == nil {
		_ = lease(fd, syscall.F_UNLCK)
		return false
	}
	var fs syscall.Statfs_t
	remote := retry(func() error { return syscall.Fstatfs(fd, &fs) }) != nil
	switch uint32(fs.Type) {
	case 0x6969, 0x517b, 0xff534d42, 0xfe534d42: // NFS, SMB, CIFS, SMB2: linux/magic.h
		remote = true
	}
	return !remote && lease(fd, syscall.F_RDLCK) == syscall.EAGAIN
}

func lease(fd int, kind uintptr) error {
	return retry(func() error {
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETLEASE, kind); errno != 0 {
			return errno
		}
		return nil
	})
}

// descriptors is how many this process may have.
func descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}
