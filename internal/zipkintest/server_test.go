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

func TestStartCassandra(t *testing.T) {
	var gone *Cassandra
	t.Run("lives", func(t *testing.T) {
		gone = StartCassandra(t)
		require.NoError(t, gone.Exec("CREATE KEYSPACE a WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"))
		require.ErrorContains(t, gone.Exec("SELECT * FROM a.b"), "table b does not exist")
	})
	if gone == nil {
		t.Skip("no server was started")
	}
	require.Error(t, gone.Exec("SELECT key FROM system.local"), "it must end with the test that started it")
}
