package tracejson

import (
	"fmt"
	"slices"
)

// fixedCost is what an element of a list or an object is counted as, in bytes,
// whatever its text: the size of a note, rounded up.
const fixedCost = 256

// object reads an object and calls read for the value of each field, with its
// index in fields. One that comes twice is damage, others are ignored; without
// fields any are right, and d.key is the name.
func (d *decoder) object(fields []string, read func(field int) error) error {
	if err := d.expect('{', "{"); err != nil {
		return err
	}
	if err := d.keep(fixedCost); err != nil {
		return err
	}
	var seen uint64
	guess := 0
	for n := 0; ; n++ {
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == '}' && n == 0 {
			break
		}
		name, err := d.literal()
		if err != nil {
			return err
		}
		field := guess
		switch {
		case fields == nil:
			d.key = d.stringOf(name)
			if err := d.keep(fixedCost); err != nil {
				return err
			}
		case guess == len(fields) || string(name) != fields[guess]:
			if field = slices.Index(fields, string(name)); field < 0 {
				if err := d.ignore(name); err != nil {
					return err
				}
			}
		}
		if fields != nil && field >= 0 {
			if seen&(1<<field) != 0 {
				return d.failAt(d.token, fmt.Sprintf("the field %q for the second time", name), "it only once")
			}
			seen |= 1 << field
			guess = field + 1
		}
		if err := d.expect(':', ":"); err != nil {
			return err
		}
		if field >= 0 {
			err = read(field)
		} else {
			err = d.skip(0)
		}
		if err != nil {
			return err
		}
		if c, err = d.next(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if err := d.expect(',', ", or }"); err != nil {
			return err
		}
	}
	d.consume(1)
	return nil
}

// array reads an array and calls read for each of its elements.
func (d *decoder) array(read func() error) error {
	if err := d.expect('[', "["); err != nil {
		return err
	}
	for n := 0; ; n++ {
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == ']' && n == 0 {
			break
		}
		if err := read(); err != nil {
			return err
		}
		if c, err = d.next(); err != nil {
			return err
		}
		if c == ']' {
			break
		}
		if err := d.expect(',', ", or ]"); err != nil {
			return err
		}
	}
	d.consume(1)
	return nil
}

// The bounds of what is ignored.
const (
	maxUnknown = 16   // names of unknown fields that are told
	maxNesting = 1000 // of the value of one
)

// ignore tells, once for each name, that a field is not known.
func (d *decoder) ignore(field []byte) error {
	name := fmt.Sprintf("%.40q", field)
	if d.unknown[name] || len(d.unknown) == maxUnknown {
		return nil
	}
	if d.unknown == nil {
		d.unknown = make(map[string]bool)
	}
	d.unknown[name] = true
	reason := "the unknown field " + name + " is ignored"
	if len(d.unknown) == maxUnknown {
		reason += ", and so are further ones, which are not told"
	}
	e := d.errorAt(d.token, reason, "")
	e.Kind, e.Lost = UnknownField, 0
	return d.tell(e)
}

// skip reads any JSON value and keeps nothing of it.
func (d *decoder) skip(depth int) error {
	cost, invalid := d.cost, d.invalidUTF8
	forget := func() { d.cost, d.invalidUTF8 = cost, invalid }
	defer forget()
	inner := func(int) error {
		forget()
		return d.skip(depth + 1)
	}
	switch c, err := d.next(); {
	case err != nil:
		return err
	case depth > maxNesting:
		return d.fail(fmt.Sprintf("values are nested more than %d deep", maxNesting), "")
	case c == '{':
		return d.object(nil, inner)
	case c == '[':
		return d.array(func() error { return inner(0) })
	default:
		_, err := d.scalar()
		return err
	}
}
