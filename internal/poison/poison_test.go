package poison

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory is overwritten with the tag, and only with it.
func TestPoison(t *testing.T) {
	buffer, list := []byte("text"), []string{"a", "b"}
	Bytes(buffer)
	List(list)
	if On {
		require.Equal(t, "\xfe\xfe\xfe\xfe", string(buffer))
		require.Equal(t, []string{"", ""}, list)
	} else {
		require.Equal(t, "text", string(buffer))
		require.Equal(t, []string{"a", "b"}, list)
	}
}
