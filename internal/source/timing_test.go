package source

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logText is text that packs about as a log does.
func logText(size int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, 1))
	modules := []string{"nova.compute.manager", "nova.scheduler.filters", "glance.wsgi.server", "tomograph.backends.log"}
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "2013-11-11 11:%02d:%02d.%03d %d INFO %s [req-%08x-%04x None None] 10.0.0.%d \"GET /v1/images/detail?limit=%d HTTP/1.1\" status: 200 time: 0.%07d\n",
			i/60_000%60, i/1000%60, i%1000, 2000+r.IntN(8), modules[r.IntN(len(modules))], r.Uint32(), r.IntN(1<<16), r.IntN(256), 10*r.IntN(9), r.IntN(10_000_000))
	}
	return b.String()
}

// Bytes are those after unpacking.
func BenchmarkUnpack(b *testing.B) {
	body := logText(8 << 20)
	small := strings.Repeat(tarred("a.gz", gz(body[:20_000]), "b.xz", xzed(body[:20_000]), "c.zst", zst(body[:20_000])), 30)
	for _, bm := range []struct {
		name, data string
		size       int
	}{
		{"gzip", gz(body), len(body)},
		{"zstd", zst(body), len(body)},
		{"xz", xzed(body), len(body)},
		{"xz blocks", xzInBlocks(body, 1<<20), len(body)},
		{"small members", small, 90 * 20_000},
	} {
		b.Run(bm.name, func(b *testing.B) {
			name := filepath.Join(b.TempDir(), "packed")
			require.NoError(b, os.WriteFile(name, []byte(bm.data), 0o600))
			b.SetBytes(int64(bm.size))
			b.ReportAllocs()
			for b.Loop() {
				report, err := Walk(context.Background(), []string{name}, Options{}, func(m *Member) error {
					_, err := io.Copy(io.Discard, m.Reader)
					return err
				})
				require.NoError(b, err)
				require.Equal(b, int64(bm.size), report.Bytes)
			}
		})
	}
}
