package readahead

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// zeros is a reader without an end that counts what was read of it.
type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	z.n += len(p)
	return len(p), nil
}

// However little is taken, no more than a few blocks are unpacked ahead.
func TestAheadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zeros{}
		a := New(z, 3, func() {})
		synctest.Wait()
		require.Equal(t, 4*BlockSize, z.n, "three in the queue, one before it")
		_, err := io.CopyN(io.Discard, a, 2*BlockSize)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 6*BlockSize, z.n)
		a.Close()
		_, err = a.Read(make([]byte, 1))
		require.Error(t, err)
	})
}

// script gives pieces, then an error behind them or with the last one.
type script struct {
	pieces []string
	err    error
	with   bool
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		if s.err == nil {
			panic("a library's")
		}
		return 0, s.err
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	if len(s.pieces) == 0 && s.with {
		return n, s.err
	}
	return n, nil
}

func TestAheadGivesTheError(t *testing.T) {
	damaged := errors.New("damaged")
	for name, tc := range map[string]struct {
		from *script
		want string
		with bool
	}{
		"behind":        {&script{[]string{"a", "b"}, damaged, false}, "damaged", false},
		"with the last": {&script{[]string{"a", "b"}, damaged, true}, "damaged", true},
		"panic":         {&script{[]string{"a", "b"}, nil, false}, "a library's", false},
		"nothing comes": {&script{append([]string{"a", "b"}, make([]string, 1000)...), damaged, false}, io.ErrNoProgress.Error(), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := New(tc.from, 2, func() {})
			defer a.Close()
			p := make([]byte, 10)
			n, err := a.Read(p)
			require.Equal(t, "ab", string(p[:n]))
			if tc.with {
				require.EqualError(t, err, tc.want)
			} else {
				require.NoError(t, err)
			}
			for range 2 {
				n, err = a.Read(p)
				require.Zero(t, n)
				require.EqualError(t, err, tc.want)
			}
		})
	}
}
