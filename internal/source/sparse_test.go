package source

import (
	"context"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// places gives what a member gives, and where in it texts stand.
func places(t *testing.T, opt Options, path string, texts ...string) (list []got, at map[string]int64, report *Report) {
	at = make(map[string]int64)
	report, err := Walk(context.Background(), []string{path}, opt, func(m *Member) error {
		body, err := io.ReadAll(m.Reader)
		require.NoError(t, err)
		list = append(list, got{m.Name, string(body)})
		for _, text := range texts {
			if i := strings.Index(string(body), text); i >= 0 && m.Place != nil {
				at[text] = m.Place(int64(i))
			}
		}
		return nil
	})
	require.NoError(t, err)
	return list, at, report
}

// The holes of GNU tar's four formats and of bsdtar's are no bytes that were
// unpacked: what lies behind 300 GiB of them is read.
func TestHolesInTar(t *testing.T) {
	inDir(t, map[string]string{"t": fixture(t, "holes.tar.xz")})
	list, at, report := places(t, Options{MaxUnpacked: 1 << 20}, "t", "first", "second", "rd\n")
	require.Len(t, list, 10)
	for i := 0; i < len(list); i += 2 {
		require.Equal(t, "t!s.log", list[i].name)
		require.Equal(t, "first\n#\nsecond\nthi#rd\n#", regexp.MustCompile("\x00{1000,}").ReplaceAllString(list[i].body, "#"))
		require.Less(t, len(list[i].body), 32<<10)
		require.Equal(t, got{"t!next.log", "next\n"}, list[i+1])
	}
	require.Equal(t, map[string]int64{"first": 0, "second": 300<<30 + 1, "rd\n": 301 << 30}, at)
	require.Empty(t, report.Unreadable)
	require.Empty(t, report.Skipped)
	require.Equal(t, 10, report.Members)
}

// A sparse file on disk is read without its holes.
func TestHolesOnDisk(t *testing.T) {
	inDir(t, nil)
	f, err := os.Create("s.log")
	require.NoError(t, err)
	write := func(at int64, text string) {
		_, err := f.WriteAt([]byte(text), at)
		require.NoError(t, err)
	}
	write(0, "first\n")
	write(300<<30, "\nsecond\nthi")
	write(301<<30, "rd\n")
	require.NoError(t, f.Truncate(302<<30))
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	if st := info.Sys().(*syscall.Stat_t); runtime.GOOS != "linux" || st.Blocks*512 > 1<<30 {
		t.Skip("holes are not known of here")
	}
	list, at, report := places(t, Options{}, "s.log", "first", "second", "rd\n")
	require.Less(t, len(list[0].body), 512<<10)
	require.Equal(t, "first\n\nsecond\nthird\n", strings.ReplaceAll(list[0].body, "\x00", ""))
	require.Equal(t, map[string]int64{"first": 0, "second": 300<<30 + 1, "rd\n": 301 << 30}, at)
	require.Empty(t, report.Unreadable)
}
