package source

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readWith walks paths; when so many bytes of a member were read, event happens,
// once.
func readWith(t *testing.T, paths []string, member string, after int64, event func()) ([]got, *Report) {
	t.Helper()
	var list []got
	report, err := Walk(context.Background(), paths, Options{}, func(m *Member) error {
		var body strings.Builder
		if m.Name == member && event != nil {
			if _, err := io.CopyN(&body, m.Reader, after); err != io.EOF {
				require.NoError(t, err)
			}
			event()
			event = nil
		}
		_, err := io.Copy(&body, m.Reader)
		list = append(list, got{m.Name, body.String()})
		return err
	})
	require.NoError(t, err)
	require.Nil(t, event, "it happened")
	return list, report
}

func put(t *testing.T, name, content string) {
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

func TestLogTruncatedWhileItIsRead(t *testing.T) {
	all := noise(1, 20_000)
	const since = "what came later\n"
	for name, c := range map[string]struct {
		copies map[string]string
		paths  []string
		now    string // the log's content behind the event
		whole  string // what is read of the one before, "" if that is lost in part
	}{
		"copied":                {map[string]string{"d/x.log.1": all}, []string{"d"}, since, all},
		"packed":                {map[string]string{"d/x.log.1.gz": gz(all)}, []string{"d"}, since, all},
		"copied elsewhere":      {map[string]string{"old/backup": all}, []string{"d", "old"}, since, all},
		"copied and longer":     {map[string]string{"d/x.log.1": all + "and more\n"}, []string{"d"}, "", all + "and more\n"},
		"by a pattern":          {map[string]string{"d/x.log.1": all}, []string{"d/x*"}, since, all},
		"written to soon":       {map[string]string{"d/x.log.1": all}, []string{"d"}, noise(2, 30_000), all},
		"copy beside another":   {map[string]string{"d/a": all[:500_000] + "other\n", "d/x.log.1": all}, []string{"d"}, since, all},
		"not copied":            {nil, []string{"d"}, since, ""},
		"not among the paths":   {map[string]string{"d/x.log.1": all}, []string{"d/x.log"}, since, ""},
		"copy of another log":   {map[string]string{"d/x.log.1": noise(3, 30_000)}, []string{"d"}, since, ""},
		"same beginning only":   {map[string]string{"d/x.log.1": all[:50_000] + noise(3, 30_000)}, []string{"d"}, since, ""},
		"written over in place": {nil, []string{"d"}, noise(2, 30_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"d/x.log": all, "old/other": "other\n"})
			event := func() {
				for name, content := range c.copies {
					put(t, name, content)
				}
				put(t, "d/x.log", c.now)
			}
			list, report := readWith(t, c.paths, "d/x.log", 100_000, event)
			var read []string
			for _, g := range list {
				if g.name == "d/x.log" {
					read = append(read, g.body)
				}
			}
			require.Len(t, read, 2, "what stands in it now, too")
			require.Equal(t, c.now, read[1])
			if c.whole != "" {
				require.Equal(t, c.whole, read[0])
				require.Empty(t, report.Unreadable)
				for _, g := range list {
					require.NotContains(t, []string{"d/x.log.1", "d/x.log.1.gz", "old/backup"}, g.name, "all of it was read already")
				}
				return
			}
			require.True(t, strings.HasPrefix(all, read[0]))
			require.Len(t, report.Unreadable, 1)
			u := report.Unreadable[0]
			require.Equal(t, "d/x.log", u.Name)
			require.EqualValues(t, len(read[0]), u.Offset)
			require.Contains(t, u.Reason, "it was truncated while it was read: ")
		})
	}
}

// What grows, or is truncated behind its end as it was when it was opened, is whole.
func TestLogThatChangesAndIsWhole(t *testing.T) {
	all := noise(1, 20_000)
	inDir(t, map[string]string{"x.log": all})
	list, report := readWith(t, []string{"x.log"}, "x.log", 100_000, func() {
		f, err := os.OpenFile("x.log", os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString("more\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
	})
	require.Equal(t, []got{{"x.log", all + "more\n"}}, list)
	require.Empty(t, report.Unreadable)

	put(t, "x.log", all)
	list, report = readWith(t, []string{"."}, "x.log", int64(len(all)), func() { put(t, "x.log", "") })
	require.Equal(t, []got{{"x.log", all}}, list)
	require.Empty(t, report.Unreadable)
}

// Packed files end early, too.
func TestPackedFileTruncatedWhileItIsRead(t *testing.T) {
	part := noise(1, 60_000)
	packed := gz(part)
	inDir(t, map[string]string{"x.gz": strings.Repeat(packed, 8)})
	list, report := readWith(t, []string{"."}, "x.gz", 1000, func() {
		require.NoError(t, os.Truncate("x.gz", int64(5*len(packed)))) // where a gzip member ends
	})
	require.Less(t, len(list[0].body), 8*len(part))
	require.Len(t, report.Unreadable, 1)
	require.Equal(t, "x.gz", report.Unreadable[0].Name)
}

// The files of a rotation are renamed after they were listed and before their turn.
func TestRotatedBeforeTheirTurn(t *testing.T) {
	first, second, third, fourth := noise(1, 10), noise(2, 10), noise(3, 10), noise(4, 10)
	for range 5 { // so many are opened before their turn
		first += first
	}
	inDir(t, map[string]string{"a.log": "first\n", "x.log": third, "x.log.1": second, "x.log.2": first})
	for i := range aheadFiles + 1 {
		put(t, "b"+string(rune('0'+i)), "between\n")
	}
	list, report := readWith(t, []string{"."}, "a.log", 1, func() {
		for _, name := range [][2]string{{"x.log.2", "x.log.3"}, {"x.log.1", "x.log.2"}, {"x.log", "x.log.1"}} {
			require.NoError(t, os.Rename(name[0], name[1]))
		}
		put(t, "x.log", fourth)
	})
	bodies := map[string]int{}
	for _, g := range list {
		bodies[g.body]++
	}
	require.Equal(t, map[string]int{"first\n": 1, "between\n": aheadFiles + 1, first: 1, second: 1, third: 1, fourth: 1}, bodies)
	require.Empty(t, report.Unreadable)
	require.Zero(t, report.SameFile)

	require.NoError(t, os.Remove("x.log.3"))
	require.NoError(t, os.Remove("x.log.2"))
	_, report = readWith(t, []string{"."}, "a.log", 1, func() {
		require.NoError(t, os.Rename("x.log", "y.log"))
		require.NoError(t, os.Remove("x.log.1"))
	})
	require.Equal(t, []Unreadable{{Name: "x.log.1", Reason: "it was gone before it was read"}}, report.Unreadable)
}
