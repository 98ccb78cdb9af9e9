package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/readahead"
)

// large is more than may be unpacked ahead of a reader.
func large() string { return strings.Repeat("the same line\n", aheadBlocks*readahead.BlockSize/10) }

// Whoever stops reading leaves no goroutine behind: none of this file's, and none
// of those after it.
func TestAbandoned(t *testing.T) {
	body := large()
	files := map[string]string{}
	for i, pack := range []func(string) string{gz, zst, xzed, func(s string) string { return xzInBlocks(s, 100_000) }} {
		packed := pack(body)
		for _, name := range []string{"a", "b", "c"} {
			files[fmt.Sprintf("d/%d/%s", i, name)] = packed
		}
	}
	inDir(t, files)
	gone := errors.New("gone")
	for i := range 4 {
		before := runtime.NumGoroutine()
		_, err := Walk(context.Background(), []string{fmt.Sprintf("d/%d", i)}, Options{}, func(m *Member) error { return gone })
		require.Equal(t, gone, err)
		requireGoroutines(t, before)

		ctx, cancel := context.WithCancel(context.Background())
		_, err = Walk(ctx, []string{fmt.Sprintf("d/%d", i)}, Options{}, func(m *Member) error {
			io.CopyN(io.Discard, m.Reader, 3*readahead.BlockSize)
			cancel()
			n, err := io.Copy(io.Discard, m.Reader)
			require.NoError(t, err)
			require.LessOrEqual(t, n, int64(bufferSize), "what was read before")
			return nil
		})
		require.Equal(t, context.Canceled, err)
		requireGoroutines(t, before)
	}
}

// requireGoroutines waits for those that are about to end.
func requireGoroutines(t *testing.T, most int) {
	t.Helper()
	for range 100_000 {
		if runtime.NumGoroutine() <= most {
			return
		}
		runtime.Gosched()
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), most)
}

// Files that are opened before their turn are given in their order, and reported
// as if they were not.
func TestManyFilesAhead(t *testing.T) {
	files := map[string]string{}
	var want []got
	for i := range 40 {
		name, body := fmt.Sprintf("d/%02d", i), noise(i, 50+i)
		switch i % 5 {
		case 0:
			files[name] = gz(body)
		case 1:
			files[name] = xzed(body)
		case 2:
			files[name] = body
		case 3:
			files[name] = zst(body)
		case 4:
			packed := gz(body)
			files[name] = packed[:len(packed)-4]
		}
		want = append(want, got{name, body})
	}
	inDir(t, files)
	require.NoError(t, os.Symlink("07", "d/08-again"))
	require.NoError(t, os.Symlink("nowhere", "d/09-nowhere"))
	list, report := read(t, Options{}, "d", "d/03")
	require.True(t, slices.Equal(want, list))
	require.Equal(t, 40, report.Files)
	require.Equal(t, 2, report.SameFile)
	require.Equal(t, []Skipped{{"d/09-nowhere", "symbolic link to a file that does not exist"}}, report.Skipped)
	require.Len(t, report.Unreadable, 8)
	for i, u := range report.Unreadable {
		name := fmt.Sprintf("d/%02d", 5*i+4)
		require.Equal(t, Unreadable{name, int64(len(want[5*i+4].body)), "unexpected end of the gzip data"}, u)
	}
}

// What is unpacked before its turn does not count before its turn.
func TestLimitWithFilesAhead(t *testing.T) {
	body := noise(1, 3000)
	inDir(t, map[string]string{"d/a": gz(body), "d/b": gz(body), "d/c": gz(body)})
	limit := int64(len(body)) + 1000
	list, report := read(t, Options{MaxUnpacked: limit}, "d")
	require.True(t, slices.Equal([]got{{"d/a", body}, {"d/b", body[:1000]}}, list))
	reason := fmt.Sprintf("more than %d bytes were unpacked, reading stops here (--max-unpacked)", limit)
	require.Equal(t, []Unreadable{{"d/b", 1000, reason}, {"d/c", 0, reason}}, report.Unreadable)
}

// A decoder is used again, whatever became of what it read before.
func TestDecodersAreUsedAgain(t *testing.T) {
	var entries []string
	var want []got
	for i := range 60 {
		body := noise(i, 1+i%30)
		pack := []func(string) string{gz, xzed, zst}[i%3]
		data := pack(body)
		name := fmt.Sprintf("%d", i)
		if i%4 == 1 {
			data = data[:len(data)*2/3]
		}
		if i%7 == 3 {
			half := []byte(data)
			half[len(half)/2] ^= 0x55
			data = string(half)
		}
		entries = append(entries, name, data)
		if i%4 != 1 && i%7 != 3 {
			want = append(want, got{"-!" + name, body})
		}
	}
	for range 3 {
		list, report := readBytes(t, Options{}, []byte(tarred(entries...)))
		var whole []got
		for _, g := range list {
			if !slices.ContainsFunc(report.Unreadable, func(u Unreadable) bool { return u.Name == g.name }) {
				whole = append(whole, g)
			}
		}
		require.True(t, slices.Equal(want, whole))
	}
}
