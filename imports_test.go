package tomoscrape_test

import (
	"errors"
	"go/build"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tomoscrape/tomoscrape"

// Imports go one way. Each package may use those of the layers before its own,
// and none of its own layer: they never import each other.
var layers = [][]string{
	{"trace", "internal/codec", "internal/early", "internal/inorder", "internal/paths", "internal/poison", "internal/rotation", "internal/safetext", "internal/smallfile", "internal/sparse"},
	{"internal/linereader", "internal/readahead", "internal/tarfile"},
	{"internal/xz"},
	{"internal/unpack"},
	{"query", "tracejson", "zipkin", "internal/monitor"},
	{"internal/source", "parser", "assemble", "export", "export/terminal"},
	{"internal/follow", "internal/record", "export/zipkinhttp"},
	{"internal/replay", "internal/tail"},
	{"cmd/tomoscrape"},
}

// Only tests and benchmarks use these.
var testOnly = []string{"bench", "soak", "internal/faultproxy", "internal/packtest", "internal/sampletest", "internal/screentest", "internal/zipkintest"}

// allowed says whether a package may import another of the module.
func allowed(from, to string) bool {
	layer := func(name string) int {
		return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) })
	}
	return layer(to) >= 0 && layer(to) < layer(from)
}

func TestImportTable(t *testing.T) {
	require.True(t, allowed("export", "trace"))
	require.False(t, allowed("export", "parser"), "of one layer")
	require.False(t, allowed("trace", "query"), "the other way")
	require.False(t, allowed("cmd/tomoscrape", "internal/zipkintest"), "for tests")
}

func TestImportsGoOneWay(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		if none := (*build.NoGoError)(nil); path == "." || errors.As(err, &none) {
			return nil
		}
		require.NoError(t, err)
		name := filepath.ToSlash(path)
		seen[name] = true
		for _, imported := range p.Imports {
			own, inModule := strings.CutPrefix(imported, module+"/")
			if inModule && !slices.Contains(testOnly, name) { // those may use all
				require.True(t, allowed(name, own), "%s must not import %s: see the layers in this file", name, own)
			}
			if name == "trace" {
				require.NotContains(t, imported, ".", "trace imports the standard library only")
			}
		}
		return nil
	})
	require.NoError(t, err)
	for _, name := range slices.Concat(append(layers, testOnly)...) {
		require.True(t, seen[name], "there is no package %s", name)
		delete(seen, name)
	}
	require.Empty(t, seen, "packages without a layer in this file")
}
