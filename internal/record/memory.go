package record

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Memory is records in memory, by their traces.
type Memory struct {
	chunks [][]byte         // records behind their lengths
	traces []memoryTrace    // in the order in which they were first heard of
	index  map[trace.ID]int // into traces
	size   int64            // about what all this takes, in bytes
}

// place is where a record stands: one more than the offset of its length in a
// chunk, and above placeBits the number of that chunk. 0 is none.
type place uint64

const placeBits = 40

// memoryTrace is the records of a trace; each one knows the next.
type memoryTrace struct {
	Key
	first, last place
}

// chunkSize is the size of a chunk of many records, in bytes.
const chunkSize = 8 << 20

// traceCost is what a trace takes in memory beside its records.
const traceCost = int64(unsafe.Sizeof(memoryTrace{}))*3/2 + 128

// add copies a record, of which k is the key, to those of its trace. It returns
// the key of the trace.
func (h *Memory) add(k Key, record []byte) Key {
	length := FrameSize + len(record)
	chunk := len(h.chunks) - 1
	if chunk < 0 || length > cap(h.chunks[chunk])-len(h.chunks[chunk]) {
		room := make([]byte, 0, max(chunkSize, length))
		preferLargePages(room)
		h.chunks = append(h.chunks, room)
		chunk++
	}
	at := len(h.chunks[chunk])
	h.chunks[chunk] = AppendFramed(h.chunks[chunk], record)
	h.size += int64(length)
	return h.enter(k, chunk, at)
}

// enter enters a record that stands in a chunk. The key may borrow from a record
// that is not kept.
func (h *Memory) enter(k Key, chunk, at int) Key {
	record := place(chunk)<<placeBits | place(at+1)
	i, known := h.index[k.ID]
	if !known {
		if h.index == nil {
			h.index = make(map[trace.ID]int)
		}
		k.ID = k.ID.Clone()
		h.index[k.ID] = len(h.traces)
		h.traces = append(h.traces, memoryTrace{k, record, record})
		h.size += traceCost
		return k
	}
	t := &h.traces[i]
	t.Key.add(k)
	setNext(h.text(t.last)[FrameSize:], record)
	t.last = record
	return t.Key
}

// text is the record at a place, behind its length.
func (h *Memory) text(p place) []byte {
	text := h.chunks[p>>placeBits][p&(1<<placeBits-1)-1:]
	return text[:FrameSize+binary.LittleEndian.Uint64(text)]
}

// Chosen is a trace that is to come out, by its key.
type Chosen struct {
	Key
	Index int // of the memory's traces
}

func SortChosen(list []Chosen) {
	slices.SortFunc(list, func(a, b Chosen) int { return a.compare(b.Key) })
}

// All is all traces that are held, by the keys of their records.
func (h *Memory) All() []Chosen {
	list := make([]Chosen, len(h.traces))
	for i := range h.traces {
		list[i] = Chosen{h.traces[i].Key, i}
	}
	return list
}

// Len is the number of traces.
func (h *Memory) Len() int { return len(h.traces) }

// Key is the key of a trace.
func (h *Memory) Key(i int) Key { return h.traces[i].Key }

// Bundle is the records of a trace in the order in which they came.
func (h *Memory) Bundle(i int) Bundle {
	t := &h.traces[i]
	return Bundle{ID: t.ID, Cost: t.Cost, held: h, first: t.first}
}

// memoryOf enters all records that stand in a text.
func memoryOf(text []byte) (*Memory, error) {
	h := &Memory{chunks: [][]byte{text}}
	var d decoder
	whole := borrowed(text)
	for at := 0; at < len(whole); {
		record, next, ok := cutFramed(whole[at:])
		if !ok {
			return nil, ErrDamaged
		}
		k, err := d.keyOf(record)
		if err != nil {
			return nil, err
		}
		h.enter(k, 0, at)
		at = len(whole) - len(next)
	}
	return h, nil
}

// Bundle is all records of a trace, ready to be made a trace of: those from first
// on that are held in memory, or those of a text.
type Bundle struct {
	ID    trace.ID
	Cost  int64 // of its spans when they are decoded
	held  *Memory
	first place
	text  string // records behind their lengths
}

// NewBundle is the records of a text, behind their lengths, which does not change.
func NewBundle(id trace.ID, cost int64, text []byte) Bundle {
	return Bundle{ID: id, Cost: cost, text: borrowed(text)}
}

// texts gives the records behind their lengths, one or more in each text.
func (b *Bundle) texts(yield func(string) bool) {
	if b.held == nil {
		yield(b.text)
		return
	}
	for p := b.first; p != 0; {
		text := b.held.text(p)
		p = nextOf(text[FrameSize:])
		// Nothing is entered any more, so it does not change.
		if !yield(borrowed(text)) {
			return
		}
	}
}

// FrameSize is how many bytes hold the length of a record, before it.
const FrameSize = 8

// appendRecord appends a record behind its length.
func AppendFramed[T string | []byte](dst []byte, record T) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(len(record))), record...)
}

// cutFramed takes the first record off a text.
func cutFramed(text string) (record, rest string, ok bool) {
	if len(text) < FrameSize {
		return "", "", false
	}
	length := uint64(0)
	for i := range FrameSize {
		length |= uint64(text[i]) << (8 * i)
	}
	if length > uint64(len(text)-FrameSize) {
		return "", "", false
	}
	text = text[FrameSize:]
	return text[:length], text[length:], true
}
