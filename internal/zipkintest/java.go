package zipkintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// fetchTimeout is long: the first fetch is 135 MB for Zipkin and 66 MB for
// Cassandra.
const fetchTimeout = 10 * time.Minute

// fetch gives the path of a file or directory in the cache of the user. If it is
// not there, mvn is to make it, called with args in a directory of its own that
// has a pom.xml of this text (unless it is "").
func fetch(t testing.TB, name, pom string, args ...string) string {
	t.Helper()
	need(t, "java")
	return keep(t, name, func(partial string) error {
		if _, err := exec.LookPath("mvn"); err != nil {
			return err
		}
		t.Logf("fetching %s from Maven Central", name)
		if pom != "" {
			if err := os.WriteFile(filepath.Join(partial, "pom.xml"), []byte(pom), 0o644); err != nil {
				return err
			}
		}
		return runIn(partial, fetchTimeout, nil, "mvn", append([]string{"-q", "-B"}, args...)...)
	})
}
