package zipkintest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	var gone string
	t.Run("lives", func(t *testing.T) {
		s := Start(t, "AUTOCOMPLETE_KEYS=site")
		gone = s.URL
		var keys []string
		require.NoError(t, s.Get("/api/v2/autocompleteKeys", &keys))
		require.Equal(t, []string{"site"}, keys, "the environment is passed on")
		require.ErrorIs(t, s.Get("/api/v2/trace/1", &keys), ErrNotFound)
	})
	if gone == "" {
		t.Skip("no server was started")
	}
	require.False(t, (&Server{URL: gone}).healthy(), "it must end with the test that started it")
}
