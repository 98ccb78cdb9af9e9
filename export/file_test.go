package export

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := Create(path, nil)
	require.NoError(t, err)
	_, err = io.WriteString(f, text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestFileAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o640))
	f, err := Create(path, nil)
	require.NoError(t, err)
	_, err = f.Write(bytes.Repeat([]byte("x"), 2*fileBuffer))
	require.NoError(t, err)
	require.Equal(t, "before", read(t, path))
	f.Discard()
	require.Equal(t, "before", read(t, path))

	write(t, path, "after")
	require.Equal(t, "after", read(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm(), "the mode stays")
	require.Equal(t, []string{"out.json"}, names(t, dir), "nothing is left behind")
}

func TestFileThroughSymlink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	link := filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, []byte("a longer text"), 0o600))
	require.NoError(t, os.Symlink(target, link))
	write(t, link, "short")
	require.Equal(t, "short", read(t, target))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
}

func TestFileThroughSymlinks(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other", "target"), []byte("before"), 0o640))
	for link, to := range map[string]string{"a": "b", "b": "other/target", "none": "other/new"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	f, err := Create(filepath.Join(dir, "a"), nil)
	require.NoError(t, err)
	_, err = f.Write(bytes.Repeat([]byte("x"), 2*fileBuffer))
	require.NoError(t, err)
	f.Discard()
	require.Equal(t, "before", read(t, filepath.Join(dir, "other", "target")), "until it is whole")
	for _, link := range []string{"a", "none"} {
		write(t, filepath.Join(dir, link), "after")
	}
	require.Equal(t, "after", read(t, filepath.Join(dir, "other", "target")))
	require.Equal(t, "after", read(t, filepath.Join(dir, "other", "new")))
	require.Equal(t, []string{"new", "target"}, names(t, filepath.Join(dir, "other")))
	require.Equal(t, []string{"a", "b", "none", "other"}, names(t, dir))
}

// What an earlier run left behind, or somebody else laid out, is no reason to write
// over the file.
func TestFileBesideLeftOvers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	for pid := range 3 { // the names that an earlier version used
		left := fmt.Sprintf(".out.json.%d.tmp", os.Getpid()-1+pid)
		require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, left)))
	}
	f, err := Create(path, nil)
	require.NoError(t, err)
	require.NoError(t, f.InPlace)
	_, err = f.Write(bytes.Repeat([]byte("x"), 2*fileBuffer))
	require.NoError(t, err)
	require.Equal(t, "before", read(t, path))
	f.Discard()
	require.Equal(t, "before", read(t, path))
	require.Len(t, names(t, dir), 4)
}

// Only where the user may make no file in the directory is one that he may write
// written directly, and that is told; all else fails, and what was there stays.
func TestFileInDirectoryThatTakesNoNewOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	defer func() { openNew = os.OpenFile }()
	for _, reason := range []error{syscall.EACCES, syscall.EPERM, syscall.ENOSPC, syscall.EMFILE, syscall.EEXIST} {
		require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
		openNew = func(name string, _ int, _ os.FileMode) (*os.File, error) {
			return nil, &os.PathError{Op: "open", Path: name, Err: reason}
		}
		refused := reason == syscall.EACCES || reason == syscall.EPERM
		require.Equal(t, refused, CanCreate(path) == nil)
		f, err := Create(path, nil)
		if refused {
			require.NoError(t, err)
			require.ErrorIs(t, f.InPlace, reason)
			_, err = io.WriteString(f, "after")
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.Equal(t, "after", read(t, path))
		} else {
			require.ErrorIs(t, err, reason)
			require.Equal(t, "before", read(t, path))
		}
		require.NoError(t, os.Remove(path))
		_, err = Create(path, nil)
		require.ErrorIs(t, err, reason)
		require.ErrorIs(t, CanCreate(path), reason)
		require.NoFileExists(t, path)
	}
}

// A file of another owner stays his.
func TestFileKeepsItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "out.json")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	require.NoError(t, os.Chown(path, 12, 34))
	require.NoError(t, os.Chmod(path, 0o620))
	write(t, path, "after")
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	require.Equal(t, []uint32{12, 34}, []uint32{stat.Uid, stat.Gid})
	require.Equal(t, os.FileMode(0o620), info.Mode().Perm())
}

func TestCanCreate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("there", 0o700))
	require.NoError(t, os.WriteFile("file", []byte("before"), 0o600))
	require.NoError(t, syscall.Mkfifo("fifo", 0o600))
	for _, path := range []string{"-", "new", "./new", "there/../new", "there/new", "file", "fifo", "/dev/null", dir + "/new"} {
		require.NoError(t, CanCreate(path), path)
	}
	for _, path := range []string{"there", "missing/new", "./missing/../new", "file/new", "", "new/", dir + "/missing/new"} {
		require.ErrorContains(t, CanCreate(path), "cannot write "+path, path)
		_, err := Create(path, nil)
		require.Error(t, err, path)
	}
	require.Equal(t, []string{"fifo", "file", "there"}, names(t, dir))
	require.Equal(t, "before", read(t, "file"))
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Create(dir, nil)
	require.ErrorContains(t, err, "cannot write "+dir+": is a directory")
	_, err = Create(filepath.Join(dir, "no", "such"), nil)
	require.ErrorContains(t, err, "no such file or directory")
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	f, err := Create("/dev/full", nil)
	require.NoError(t, err)
	_, err = io.WriteString(f, "a little")
	require.NoError(t, err, "still in the buffer")
	err = f.Close()
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "cannot write /dev/full: no space left on device")
}

func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	got := make(chan string)
	go func() {
		data, _ := os.ReadFile(path)
		got <- string(data)
	}()
	write(t, path, "through the pipe")
	require.Equal(t, "through the pipe", <-got)
}

func TestReaderGone(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	require.NoError(t, r.Close())
	f, err := Create("-", w)
	require.NoError(t, err)
	_, err = io.WriteString(f, "nobody reads this")
	require.NoError(t, err)
	require.ErrorIs(t, f.Close(), ErrReaderGone)
}

func TestStandardOutputStaysOpen(t *testing.T) {
	var out bytes.Buffer
	f, err := Create("-", &out)
	require.NoError(t, err)
	_, err = io.WriteString(f, "data")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "data", out.String())
}
