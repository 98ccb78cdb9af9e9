package follow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bannered gives lines behind a banner that is longer than a head.
func bannered(from, to int) (text string, list []string) {
	banner := strings.Repeat("=", 2000)
	text, list = lines(from, to)
	return banner + "\n" + text, append([]string{banner}, list...)
}

// A service begins each file with the same banner, and its log is truncated and
// grows over the offset before anybody looks.
func TestBannerAndGrownOverTheOldOffset(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := bannered(0, 100)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	more, list := lines(100, 150)
	b.write("x.log", more)
	want = append(want, list...)
	b.copytruncate("x.log", "x.log.1")
	text, list = bannered(150, 1000)
	b.write("x.log", text)
	b.step(time.Second)
	b.want(append(want, list...)...)
	b.step(time.Hour)
	b.want(append(want, list...)...)
}

// The same, with a rotation that is shorter than the log was, and seen.
func TestBannerAndShorter(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := bannered(0, 100)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	b.copytruncate("x.log", "x.log.1")
	text, list := bannered(100, 110)
	b.write("x.log", text)
	b.step(time.Second)
	b.want(append(want, list...)...)
	require.EqualValues(t, 1, b.f.Stats().Truncations)
}

func TestBannerAndRotatedWhileDown(t *testing.T) {
	for _, sizes := range [][]int{{50, 100, 150}, {150, 100, 50}, {100, 10, 200}, {10, 200, 10}} {
		for name, rotate := range map[string]func(b *bench){
			"rename": func(b *bench) {
				b.rename("x.log", "x.log.1")
			},
			"copytruncate": func(b *bench) {
				b.copytruncate("x.log", "x.log.1")
			},
			"copytruncate and compress": func(b *bench) {
				data, err := os.ReadFile(b.path("x.log"))
				require.NoError(b.t, err)
				gzipFile(b.t, b.path("x.log.1.gz"), string(data))
				require.NoError(b.t, os.Truncate(b.path("x.log"), 0))
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
				text, want := bannered(0, sizes[0])
				b.write("x.log", text)
				b.open()
				b.step(time.Second)
				require.NoError(t, b.f.Close())
				more, list := lines(sizes[0], sizes[0]+20)
				b.write("x.log", more)
				want = append(want, list...)
				at := sizes[0] + 20
				for _, n := range sizes[1:] {
					for _, suffix := range []string{"", ".gz"} {
						_ = os.Rename(b.path("x.log.1"+suffix), b.path("x.log.2"+suffix))
					}
					rotate(b)
					text, list := bannered(at, at+n)
					b.write("x.log", text)
					want, at = append(want, list...), at+n
				}
				b.open()
				b.step(time.Second)
				require.ElementsMatch(t, want, b.out.all(), b.logs.String())
				require.NoError(t, b.f.Close())
				b.open()
				b.step(time.Second)
				b.step(time.Hour)
				require.ElementsMatch(t, want, b.out.all())
			})
		}
	}
}

// A log that is cut is not read again but for its last part.
func TestCutInTheMiddle(t *testing.T) {
	for name, size := range map[string]int64{"by a byte": 1, "by a line": 46, "by a tenth": 4600} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{FromStart: true})
			text, want := lines(0, 1000)
			for i := 0; i < len(text); i += len(text) / 100 {
				b.write("x.log", text[i:min(len(text), i+len(text)/100)])
				if b.f == nil {
					b.open()
				}
				b.step(time.Second)
			}
			b.want(want...)
			require.NoError(t, os.Truncate(b.path("x.log"), int64(len(text))-size))
			b.step(time.Second)
			b.write("x.log", "\nnew\n")
			b.step(time.Second)
			got := b.out.all()
			require.Equal(t, "new", got[len(got)-1])
			require.Equal(t, want, got[:len(want)])
			require.Less(t, len(got), len(want)+len(want)/4, "most is known to be the same")
		})
	}
}

// A checkpoint without samples, of an earlier version of the program, is read.
func TestCheckpointWithoutSamples(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	text, want := lines(0, 100)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	saved, err := os.ReadFile(b.opt.Checkpoint)
	require.NoError(t, err)
	from := strings.Index(string(saved), `"seams"`)
	require.Positive(t, from)
	to := from + strings.Index(string(saved[from:]), `],`) + 2
	require.NoError(t, os.WriteFile(b.opt.Checkpoint, append(saved[:from:from], saved[to:]...), 0o600))
	more, list := lines(100, 120)
	b.write("x.log", more)
	b.open()
	b.step(time.Second)
	b.want(append(want, list...)...)
}

// A packed copy that lies beside its log is known without unpacking all of it: here
// what comes later in it is damaged.
func TestLargePackedCopyBesideItsLog(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 3*maxCompared/46)
	b.write("x.log", text)
	whole := gzipFile(t, b.path("x.log.1.gz"), text)
	require.NoError(t, os.WriteFile(b.path("x.log.1.gz"), whole[:len(whole)*2/3], 0o644))
	b.open()
	b.step(time.Second)
	b.step(patience)
	b.want(want...)
	require.Empty(t, b.f.Stats().Losses)
}

// One that begins with the same banner, and is longer or shorter, is another log.
func TestPackedLogWithTheSameBanner(t *testing.T) {
	for _, size := range []int{50, 3 * maxCompared / 46} {
		for _, other := range []int{20, 4 * maxCompared / 46} {
			b := newBench(t, Options{FromStart: true})
			text, older := bannered(0, other)
			gzipFile(t, b.path("x.log.1.gz"), text)
			text, want := bannered(other, other+size)
			b.write("x.log", text)
			b.open()
			b.step(time.Second)
			b.want(append(older, want...)...)
		}
	}
}
