package trace

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// ID is the number tomograph gave a trace or a span. IDs are comparable with ==
// and usable as map keys.
//
// Numbers from 0 to 2^128-1 stand in Hi and Lo with Odd empty. A negative number
// keeps its 64-bit two's complement in Lo (its 128-bit one in Hi and Lo below
// -2^63), and its decimal text in Odd; a number of 2^128 or more has only Odd.
type ID struct {
	Hi, Lo uint64
	Odd    string // decimal text, only for what Hi and Lo alone do not tell
}

// MaxIDDigits is the longest decimal number that is read as an ID; CPython
// refuses to print longer integers, too (sys.int_info.default_max_str_digits).
const MaxIDDigits = 4300

// IDFromUint64 is the ID of a number that fits 64 bits.
func IDFromUint64(n uint64) ID { return ID{Lo: n} }

// ParseID reads a decimal number as the log has it ("5731049070570866", "-3",
// "12L"). The error says what is wrong with the text.
func ParseID(decimal string) (ID, error) {
	text := strings.TrimSuffix(decimal, "L")
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return ID{Lo: n}, nil
	}
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return ID{}, fmt.Errorf("%.40q is not a whole number", decimal)
	}
	if len(digits) > MaxIDDigits {
		return ID{}, fmt.Errorf("a number of %d digits is no id (at most %d)", len(digits), MaxIDDigits)
	}
	n, _ := new(big.Int).SetString(text, 10)
	return idFromBig(n), nil
}

// ParseHex reads the hexadecimal form that [ID.Hex] writes. Text of up to 32
// digits is a number below 2^128; it never gives a negative ID.
func ParseHex(hex string) (ID, error) {
	if hex == "" || strings.Trim(hex, "0123456789abcdefABCDEF") != "" {
		return ID{}, fmt.Errorf("%.40q is not a hexadecimal number", hex)
	}
	if len(hex) > MaxIDDigits {
		return ID{}, fmt.Errorf("a number of %d digits is no id (at most %d)", len(hex), MaxIDDigits)
	}
	n, _ := new(big.Int).SetString(hex, 16)
	return idFromBig(n), nil
}

func idFromBig(n *big.Int) ID {
	var id ID
	if n.Sign() < 0 || n.BitLen() > 128 {
		id.Odd = n.String()
	}
	if n.BitLen() > 128 {
		return id
	}
	lo, hi := new(big.Int), new(big.Int)
	mask := new(big.Int).SetUint64(^uint64(0))
	if n.Sign() < 0 { // two's complement in as many bits as it needs
		width := uint(64)
		if n.Cmp(new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 63))) < 0 {
			width = 128
		}
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), width))
	}
	id.Lo = lo.And(n, mask).Uint64()
	id.Hi = hi.And(hi.Rsh(n, 64), mask).Uint64()
	return id
}

// Clone is a copy that shares no memory with the ID; of one that is not odd it
// costs nothing.
func (id ID) Clone() ID { return ID{id.Hi, id.Lo, strings.Clone(id.Odd)} }

// IsZero says whether the number is 0.
func (id ID) IsZero() bool { return id == ID{} }

// Fits128 says whether Hi and Lo hold the number (a negative one as its two's
// complement); only then can it be a trace ID of another system.
func (id ID) Fits128() bool { return id.Odd == "" || id.Hi|id.Lo != 0 }

// Hex is the number in lower-case hexadecimal: 16 digits below 2^64, 32 below
// 2^128, more beyond. Negative numbers appear as their two's complement.
func (id ID) Hex() string {
	if !id.Fits128() {
		n, _ := new(big.Int).SetString(id.Odd, 10)
		return n.Text(16)
	}
	return string(id.AppendHex(make([]byte, 0, 32)))
}

// AppendHex appends [ID.Hex] to dst.
func (id ID) AppendHex(dst []byte) []byte {
	if !id.Fits128() {
		return append(dst, id.Hex()...)
	}
	if id.Hi != 0 {
		dst = appendHex16(dst, id.Hi)
	}
	return appendHex16(dst, id.Lo)
}

func appendHex16(dst []byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, hexDigits(uint32(n>>32)))
	return binary.BigEndian.AppendUint64(dst, hexDigits(uint32(n)))
}

// hexDigits are the eight digits of n, each a byte, all made at once.
func hexDigits(n uint32) uint64 {
	const each = 0x0101010101010101
	x := uint64(n) // spread to four bits a byte
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	letter := (x + each*6) >> 4 & each // 1 where x is 10 or more
	return x + each*'0' + letter*('a'-10-'0')
}

// Decimal is the number as tomograph logged it (without a Python L).
func (id ID) Decimal() string {
	if id.Odd != "" {
		return id.Odd
	}
	if id.Hi == 0 {
		return strconv.FormatUint(id.Lo, 10)
	}
	n := new(big.Int).SetUint64(id.Hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(id.Lo)).String()
}

// AppendDecimal appends [ID.Decimal] to dst.
func (id ID) AppendDecimal(dst []byte) []byte {
	if id.Odd != "" || id.Hi != 0 {
		return append(dst, id.Decimal()...)
	}
	return strconv.AppendUint(dst, id.Lo, 10)
}

// String is [ID.Hex].
func (id ID) String() string { return id.Hex() }

// Compare orders IDs by number, -1, 0 or +1; what is odd (negative or of more
// than 128 bits) stands behind its equals in Hi and Lo, by text.
func (id ID) Compare(other ID) int {
	a, b := id, other
	if fa, fb := a.Fits128(), b.Fits128(); fa != fb {
		if fa {
			return -1
		}
		return 1
	}
	if _, borrow := bits.Sub64(a.Lo, b.Lo, 0); a.Hi < b.Hi || a.Hi == b.Hi && borrow == 1 {
		return -1
	}
	if a.Hi != b.Hi || a.Lo != b.Lo {
		return 1
	}
	if len(a.Odd) != len(b.Odd) {
		if len(a.Odd) < len(b.Odd) {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Odd, b.Odd)
}
