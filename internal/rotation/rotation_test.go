package rotation

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	for name, want := range map[string]string{
		"nova/api.log":                         "nova/api.log",
		"nova/api.log.1":                       "nova/api.log",
		"nova/api.log.0":                       "nova/api.log",
		"nova/api.log.10.gz":                   "nova/api.log",
		"api.log.gz":                           "api.log",
		"api.log.2.bz2":                        "api.log",
		"api.log.2.xz":                         "api.log",
		"api.log.2.zst":                        "api.log",
		"api.log.2.Z":                          "api.log",
		"api.log-20260301":                     "api.log",
		"api.log-20260301.gz":                  "api.log",
		"api.log-2026030108.gz":                "api.log",
		"api.log-20260301-1772352000.gz":       "api.log",
		"api.log-2026030108.backup":            "api.log",
		"api.log-2026030108.backup.gz":         "api.log",
		"api.log.1.backup":                     "api.log.1.backup",
		"api.log.2026-03-01":                   "api.log",
		"api.log.2026-03-01_08-00-00":          "api.log",
		"pod/0.log":                            "pod/0.log",
		"pod/1.log":                            "pod/1.log",
		"pod/0.log.20260301-080000.gz":         "pod/0.log",
		"pod/0.log.20260301-080000":            "pod/0.log",
		"0123abc-json.log.2.gz":                "0123abc-json.log",
		"sos.tar.xz!nova/api.log.2.gz":         "sos.tar.xz!nova/api.log",
		"logs.tar.1!in.zip!api.log-20260301":   "logs.tar.1!in.zip!api.log",
		"-":                                    "-",
		".1":                                   ".1",
		"d/.1":                                 "d/.1",
		"d/.gz":                                "d/.gz",
		"a.tar!.1.gz":                          "a.tar!.1",
		"api-20261301":                         "api-20261301", // no month
		"api.log.123456":                       "api.log.123456",
		"api.log.old":                          "api.log.old",
		"api-20260301.log":                     "api-20260301.log",
		"hostile\n\xff.1":                      "hostile\n\xff",
		"a.20260301-080000.gz/not/the/name.gz": "a.20260301-080000.gz/not/the/name",
	} {
		require.Equal(t, want, Of(name).Log, name)
	}
}

func TestNamesOfOneRotation(t *testing.T) {
	names := []string{"x", "x.1", "x.10.gz", "x.2.gz"}
	slices.SortFunc(names, func(a, b string) int { return Compare(Of(a), Of(b)) })
	require.Equal(t, []string{"x.10.gz", "x.2.gz", "x.1", "x"}, names)
	require.True(t, Of("x").Continues(Of("x.1")))
	require.False(t, Of("x").Continues(Of("x.2")))
}
