package smallfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
	data, err := Read(path, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(data))
	for limit, words := range map[int64]string{4: "0 KiB", 2 << 10: "2 KiB", 3 << 20: "3 MiB"} {
		name := "/dev/zero"
		if limit == 4 {
			name = path
		}
		_, err = Read(name, limit)
		require.EqualError(t, err, "read "+name+": it is longer than "+words+"; is it the right file?")
	}
	_, err = Read(path+"x", 5)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(filepath.Dir(path), 5)
	require.Error(t, err)
}
