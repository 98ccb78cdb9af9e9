package trace

import (
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func genNumber() *rapid.Generator[*big.Int] {
	return rapid.Custom(func(t *rapid.T) *big.Int {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "negative") {
			n.Neg(n)
		}
		return n
	})
}

// An ID tells the number it was made of, whatever its size and sign.
func TestIDTellsItsNumber(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := genNumber().Draw(rt, "n")
		id, err := ParseID(n.String())
		require.NoError(t, err)
		require.Equal(t, n.String(), id.Decimal())
		python2, err := ParseID(n.String() + "L")
		require.NoError(t, err)
		require.Equal(t, id, python2)
		require.Equal(t, n.Sign() == 0, id.IsZero())
		require.Equal(t, n.BitLen() <= 128, id.Fits128())
		if n.Sign() >= 0 {
			hex, err := ParseHex(id.Hex())
			require.NoError(t, err)
			require.Equal(t, id, hex)
			digits := max(16, (len(n.Text(16))+15)/16*16)
			if n.BitLen() <= 128 {
				require.Len(t, id.Hex(), digits)
			}
		}
		require.Equal(t, id.Hex(), string(id.AppendHex(nil)))
		require.Equal(t, id.Decimal(), string(id.AppendDecimal(nil)))
	})
}

// Compare is an order: by number for those that are not odd.
func TestIDsAreOrdered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		numbers := rapid.SliceOfN(genNumber(), 1, 20).Draw(rt, "numbers")
		var ids []ID
		for _, n := range numbers {
			id, err := ParseID(n.String())
			require.NoError(t, err)
			ids = append(ids, id)
		}
		slices.SortFunc(ids, ID.Compare)
		for i, a := range ids {
			for j, b := range ids {
				c := a.Compare(b)
				require.Equal(t, -c, b.Compare(a))
				require.Equal(t, a == b, c == 0)
				if i < j {
					require.LessOrEqual(t, c, 0)
				}
			}
		}
	})
	small, _ := ParseID("9")
	large, _ := ParseID("10")
	require.Equal(t, -1, small.Compare(large))
}

func TestNegativeIDsAreTwosComplement(t *testing.T) {
	for decimal, hex := range map[string]string{"-1": "ffffffffffffffff", "-9223372036854775808": "8000000000000000",
		"-9223372036854775809": "ffffffffffffffff7fffffffffffffff"} {
		id, err := ParseID(decimal)
		require.NoError(t, err)
		require.Equal(t, hex, id.Hex())
	}
	for _, bad := range []string{"", "-", "1.5", "0x1", "--1", "1 ", "one"} {
		_, err := ParseID(bad)
		require.Error(t, err, bad)
		_, err = ParseHex(bad + "g")
		require.Error(t, err, bad)
	}
}

func TestExtent(t *testing.T) {
	s := Span{Notes: []Note{{Time: 5, HasTime: true}, {}, {Time: -3, HasTime: true}, {Time: 4, HasTime: true}}}
	first, last, timed := s.Extent()
	require.Equal(t, []int64{-3, 5, 3}, []int64{first, last, int64(timed)})
	_, _, timed = (&Span{}).Extent()
	require.Zero(t, timed)
}

func TestVerdict(t *testing.T) {
	root, child := Node{Parent: -1}, Node{Parent: 0, Depth: 1}
	whole := Trace{Spans: []Node{root, child}, Problems: []Problem{{Code: ClockSkew}, {Code: CodeBadTime}, {Code: CodeInvalidUTF8}}}
	require.True(t, whole.Complete())
	whole.Problems = append(whole.Problems, Problem{Code: Open})
	require.False(t, whole.Complete())
	require.False(t, (&Trace{Spans: []Node{root, root}}).Complete())
	require.False(t, (&Trace{}).Complete())
}
