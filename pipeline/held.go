package pipeline

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/tomoscrape/tomoscrape/trace"
)

// held is records in memory, by their traces.
type held struct {
	chunks [][]byte         // records behind their lengths
	traces []heldTrace      // in the order in which they were first heard of
	index  map[trace.ID]int // into traces
	size   int64            // about what all this takes, in bytes
}

// place is where a record stands: one more than the offset of its length in a
// chunk, and above placeBits the number of that chunk. 0 is none.
type place uint64

const placeBits = 40

// heldTrace is the records of a trace; each one knows the next.
type heldTrace struct {
	key
	first, last place
}

// chunkSize is the size of a chunk of many records, in bytes.
const chunkSize = 8 << 20

// traceCost is what a trace takes in memory beside its records.
const traceCost = int64(unsafe.Sizeof(heldTrace{}))*3/2 + 128

// add copies a record, of which k is the key, to those of its trace. It returns
// the key of the trace.
func (h *held) add(k key, record []byte) key {
	length := recordLength + len(record)
	chunk := len(h.chunks) - 1
	if chunk < 0 || length > cap(h.chunks[chunk])-len(h.chunks[chunk]) {
		room := make([]byte, 0, max(chunkSize, length))
		preferLargePages(room)
		h.chunks = append(h.chunks, room)
		chunk++
	}
	at := len(h.chunks[chunk])
	h.chunks[chunk] = appendRecord(h.chunks[chunk], record)
	h.size += int64(length)
	return h.enter(k, chunk, at)
}

// enter enters a record that stands in a chunk. The key may borrow from a record
// that is not kept.
func (h *held) enter(k key, chunk, at int) key {
	record := place(chunk)<<placeBits | place(at+1)
	i, known := h.index[k.id]
	if !known {
		if h.index == nil {
			h.index = make(map[trace.ID]int)
		}
		k.id = k.id.Clone()
		h.index[k.id] = len(h.traces)
		h.traces = append(h.traces, heldTrace{k, record, record})
		h.size += traceCost
		return k
	}
	t := &h.traces[i]
	t.key.add(k)
	setNext(h.text(t.last)[recordLength:], record)
	t.last = record
	return t.key
}

// text is the record at a place, behind its length.
func (h *held) text(p place) []byte {
	text := h.chunks[p>>placeBits][p&(1<<placeBits-1)-1:]
	return text[:recordLength+binary.LittleEndian.Uint64(text)]
}

// chosen is a trace that is to come out, by its key.
type chosen struct {
	key
	index int // of the memory's traces
}

func sortChosen(list []chosen) {
	slices.SortFunc(list, func(a, b chosen) int { return a.compare(b.key) })
}

// all is all traces that are held, by the keys of their records.
func (h *held) all() []chosen {
	list := make([]chosen, len(h.traces))
	for i := range h.traces {
		list[i] = chosen{h.traces[i].key, i}
	}
	return list
}

// len is the number of traces.
func (h *held) len() int { return len(h.traces) }

// keyAt is the key of a trace.
func (h *held) keyAt(i int) key { return h.traces[i].key }

// bundle is the records of a trace in the order in which they came.
func (h *held) bundle(i int) bundle {
	t := &h.traces[i]
	return bundle{id: t.id, cost: t.cost, held: h, first: t.first}
}

// heldIn enters all records that stand in a text.
func heldIn(text []byte) (*held, error) {
	h := &held{chunks: [][]byte{text}}
	var d decoder
	whole := borrowed(text)
	for at := 0; at < len(whole); {
		record, next, ok := cutRecord(whole[at:])
		if !ok {
			return nil, errCodec
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

// bundle is all records of a trace, ready to be made a trace of: those from first
// on that are held in memory, or those of a text.
type bundle struct {
	id    trace.ID
	cost  int64 // of its spans when they are decoded
	held  *held
	first place
	text  string // records behind their lengths
}

// newBundle is the records of a text, behind their lengths, which does not change.
func newBundle(id trace.ID, cost int64, text []byte) bundle {
	return bundle{id: id, cost: cost, text: borrowed(text)}
}

// texts gives the records behind their lengths, one or more in each text.
func (b *bundle) texts(yield func(string) bool) {
	if b.held == nil {
		yield(b.text)
		return
	}
	for p := b.first; p != 0; {
		text := b.held.text(p)
		p = nextOf(text[recordLength:])
		// Nothing is entered any more, so it does not change.
		if !yield(borrowed(text)) {
			return
		}
	}
}

// recordLength is how many bytes hold the length of a record, before it.
const recordLength = 8

// appendRecord appends a record behind its length.
func appendRecord[T string | []byte](dst []byte, record T) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(len(record))), record...)
}

// cutRecord takes the first record off a text.
func cutRecord(text string) (record, rest string, ok bool) {
	if len(text) < recordLength {
		return "", "", false
	}
	length := uint64(0)
	for i := range recordLength {
		length |= uint64(text[i]) << (8 * i)
	}
	if length > uint64(len(text)-recordLength) {
		return "", "", false
	}
	text = text[recordLength:]
	return text[:length], text[length:], true
}
