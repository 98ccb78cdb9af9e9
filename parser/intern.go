package parser

import "hash/maphash"

// interner remembers the texts of literals with escapes or beyond ASCII, so that
// what stands in the log again and again is decoded once. It forgets: a slot
// belongs to the literal that came last.
type interner struct {
	seed  maphash.Seed
	slots [1 << internBits]interned
}

type interned struct {
	literal string // as it stands in the log
	text    string
	invalid bool // see literalString
}

const (
	internBits = 12
	maxIntern  = 2048 // bytes of a literal; longer ones seldom come again
)

func newInterner() *interner { return &interner{seed: maphash.MakeSeed()} }

// string is the text of a string literal that is known to be well-formed but for
// its escapes; ok is false if one of these is broken.
func (in *interner) string(literal []byte) (text string, invalid, ok bool) {
	if len(literal) > maxIntern {
		text, invalid, bad := literalString(literal)
		return text, invalid, bad < 0
	}
	s := &in.slots[maphash.Bytes(in.seed, literal)>>(64-internBits)]
	if s.literal != string(literal) {
		text, invalid, bad := literalString(literal)
		if bad >= 0 {
			return "", false, false
		}
		*s = interned{literal: string(literal), text: text, invalid: invalid}
	}
	return s.text, s.invalid, true
}
