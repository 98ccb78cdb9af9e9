package parser

import "hash/maphash"

// interner remembers the texts of literals, decoded, so that what stands in the
// log again and again (services, hosts, names, SQL) is decoded once and kept in
// memory once. It forgets: a slot belongs to the literal that came last.
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

// slot is where the literal is kept, if it is.
func (in *interner) slot(literal []byte) (s *interned, known bool) {
	s = &in.slots[maphash.Bytes(in.seed, literal)>>(64-internBits)]
	return s, s.literal == string(literal)
}

// source is a literal's own text, for numbers.
func (in *interner) source(literal []byte) string {
	s, known := in.slot(literal)
	if !known {
		text := string(literal)
		*s = interned{literal: text, text: text}
	}
	return s.literal
}

// string is the text of a string literal that is known to be well-formed but for
// its escapes; ok is false if one of these is broken.
func (in *interner) string(literal []byte) (text string, invalid, ok bool) {
	if len(literal) > maxIntern {
		text, invalid, bad := literalString(literal)
		return text, invalid, bad < 0
	}
	s, known := in.slot(literal)
	if !known {
		text, invalid, bad := literalString(literal)
		if bad >= 0 {
			return "", false, false
		}
		*s = interned{literal: string(literal), text: text, invalid: invalid}
	}
	return s.text, s.invalid, true
}
