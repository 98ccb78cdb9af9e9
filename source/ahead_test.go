package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// zeros is a reader without an end that counts what was read of it.
type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	z.n += len(p)
	return len(p), nil
}

// However little is taken, no more than a few blocks are unpacked ahead.
func TestAheadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zeros{}
		a := newAhead(z, 3, func() {})
		synctest.Wait()
		require.Equal(t, 4*aheadSize, z.n, "three in the queue, one before it")
		_, err := io.CopyN(io.Discard, a, 2*aheadSize)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 6*aheadSize, z.n)
		a.close()
		_, err = a.Read(make([]byte, 1))
		require.Error(t, err)
	})
}

// script gives pieces, then an error behind them or with the last one.
type script struct {
	pieces []string
	err    error
	with   bool
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		if s.err == nil {
			panic("a library's")
		}
		return 0, s.err
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	if len(s.pieces) == 0 && s.with {
		return n, s.err
	}
	return n, nil
}

func TestAheadGivesTheError(t *testing.T) {
	damaged := errors.New("damaged")
	for name, tc := range map[string]struct {
		from *script
		want string
		with bool
	}{
		"behind":        {&script{[]string{"a", "b"}, damaged, false}, "damaged", false},
		"with the last": {&script{[]string{"a", "b"}, damaged, true}, "damaged", true},
		"panic":         {&script{[]string{"a", "b"}, nil, false}, "a library's", false},
		"nothing comes": {&script{append([]string{"a", "b"}, make([]string, 1000)...), damaged, false}, io.ErrNoProgress.Error(), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAhead(tc.from, 2, func() {})
			defer a.close()
			p := make([]byte, 10)
			n, err := a.Read(p)
			require.Equal(t, "ab", string(p[:n]))
			if tc.with {
				require.EqualError(t, err, tc.want)
			} else {
				require.NoError(t, err)
			}
			for range 2 {
				n, err = a.Read(p)
				require.Zero(t, n)
				require.EqualError(t, err, tc.want)
			}
		})
	}
}

// large is more than may be unpacked ahead of a reader.
func large() string { return strings.Repeat("the same line\n", aheadBlocks*aheadSize/10) }

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
			io.CopyN(io.Discard, m.Reader, 3*aheadSize)
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

// Nothing of one stream is seen by the next one: a stream that does not begin by
// forgetting what was before it is refused.
func TestXZForgets(t *testing.T) {
	d := new(lzma2)
	d.reset(strings.NewReader("\x01\x00\x02abc\x00"), 4096)
	whole, err := io.ReadAll(d)
	require.NoError(t, err)
	require.Equal(t, "abc", string(whole))
	for _, control := range []string{"\x02\x00\x02", "\x80\x00\x02\x00\x05", "\xa0\x00\x02\x00\x05", "\xc0\x00\x02\x00\x05\x5d"} {
		d.reset(bytes.NewReader([]byte(control+"abcdefgh\x00")), 4096)
		got, err := io.ReadAll(d)
		require.ErrorIs(t, err, errLZMA)
		require.Empty(t, got)
	}
}
