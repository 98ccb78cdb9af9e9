package follow

import (
	"bytes"
	"hash/maphash"
	"iter"
	"slices"
)

// heads finds generations by what they begin with, however many there are: by their
// first line. What is not even a line tells nothing from anything and is not in it.
type heads struct {
	seed    maphash.Seed
	byLine  map[uint64][]*Generation
	unnamed []*Generation // whose bytes are not known, only their sum
}

func newHeads() heads {
	return heads{seed: maphash.MakeSeed(), byLine: map[uint64][]*Generation{}}
}

// key is that of content which begins with b, its first headSize bytes or all there are.
func (h *heads) key(b []byte) uint64 {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return maphash.Bytes(h.seed, b)
}

// list is where a generation stands, nil if it does not.
func (h *heads) list(g *Generation) (list []*Generation, set func([]*Generation)) {
	switch {
	case g.head.length == 0 || g.head.weak:
		return nil, func([]*Generation) {}
	case g.head.bytes == nil:
		return h.unnamed, func(list []*Generation) { h.unnamed = list }
	}
	key := h.key(g.head.bytes)
	return h.byLine[key], func(list []*Generation) {
		if len(list) == 0 {
			delete(h.byLine, key)
		} else {
			h.byLine[key] = list
		}
	}
}

func (h *heads) add(g *Generation) {
	list, set := h.list(g)
	set(append(list, g))
}

func (h *heads) remove(g *Generation) {
	list, set := h.list(g)
	set(slices.DeleteFunc(list, func(o *Generation) bool { return o == g }))
}

// like gives the generations that content may begin as, or that may begin as it.
func (h *heads) like(b []byte) iter.Seq[*Generation] {
	return func(yield func(*Generation) bool) {
		for _, list := range [][]*Generation{h.byLine[h.key(b)], h.unnamed} {
			for _, g := range list {
				if !yield(g) {
					return
				}
			}
		}
	}
}

// setHead sets what a generation begins with.
func (f *Follower) setHead(g *Generation, begin head) {
	f.heads.remove(g)
	g.head = begin
	f.heads.add(g)
}
