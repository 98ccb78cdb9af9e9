package export

import (
	"bytes"
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

func TestFileInFolderThatTakesNoNewOnes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	// The name of the temporary file is taken, as if it could not be made.
	f := &File{name: path}
	f.openTemp(0o600, true)
	require.NotEmpty(t, f.temp)
	defer f.Discard()
	write(t, path, "after")
	require.Equal(t, "after", read(t, path))
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
