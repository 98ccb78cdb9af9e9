package zipkintest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// buildTimeout is long: the Collector takes 80 seconds of a core, the two of
// Jaeger 11 minutes.
const buildTimeout = 45 * time.Minute

// goBuild makes a program of this name from Go modules: its main package is pkg
// of the module in dir.
func goBuild(name, dir, mod, pkg, partial string) error {
	return runIn(dir, buildTimeout, []string{"GOFLAGS=-mod=" + mod, "GOWORK=off"},
		"go", "build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(partial, name), pkg)
}

// builtModule is a program of a module that has a main package.
func builtModule(t testing.TB, name, module, pkg string) string {
	t.Helper()
	need(t, "go")
	return keep(t, name, func(partial string) error {
		t.Logf("building %s, which takes minutes", name)
		download := exec.Command("go", "mod", "download", "-json", module)
		download.Dir = partial
		answer, err := download.Output()
		if err != nil {
			return err
		}
		var at struct{ Dir string }
		if err := json.Unmarshal(answer, &at); err != nil {
			return err
		}
		return goBuild(name, at.Dir, "readonly", pkg, partial)
	})
}

// builtMain is a program made of a main.go and a go.mod.
func builtMain(t testing.TB, name, mod, source string) string {
	t.Helper()
	need(t, "go")
	return keep(t, name, func(partial string) error {
		t.Logf("building %s, which takes minutes", name)
		for file, text := range map[string]string{"go.mod": mod, "main.go": source} {
			if err := os.WriteFile(filepath.Join(partial, file), []byte(text), 0o644); err != nil {
				return err
			}
		}
		return goBuild(name, partial, "mod", ".", partial)
	})
}
