package record

import (
	"io"
	"os"
	"slices"
)

// runs are sorted traces in one file, a run behind the other.
type runs struct {
	file *os.File
	size int64
	list []run
}

// run is a part of the file of runs.
type run struct{ from, to int64 }

// reserve makes a new run of a known size and says where it begins.
func (r *runs) reserve(size int64) (from int64) {
	from = r.size
	r.size += size
	if size > 0 {
		r.list = append(r.list, run{from, r.size})
	}
	return from
}

func (r *runs) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// The buffer of each run, while they are merged.
const (
	minMergeBuffer = 4 << 10
	maxMergeBuffer = 256 << 10
)

// open begins to read all runs, with so much memory for their buffers.
func (r *runs) open(memory int64) (merge, error) {
	var m merge
	for _, run := range r.list {
		buffer := min(max(memory/int64(len(r.list)), minMergeBuffer), maxMergeBuffer)
		h := &head{in: newRecordReader(r.file, run.from, run.to, int(buffer))}
		if err := h.next(); err != nil {
			return nil, unexpectedEnd(err)
		}
		m = append(m, h)
	}
	slices.SortFunc(m, func(a, b *head) int { return a.compare(b.Key) })
	return m, nil
}

// head is a run whose next trace is known by its key.
type head struct {
	Key
	in *recordReader
}

// next reads the key of the next trace.
func (h *head) next() error {
	record, err := h.in.next()
	if err != nil {
		return err
	}
	var d decoder
	d.begin(record)
	h.Key = d.key()
	return d.end()
}

// merge is a heap of runs by their next traces; a sorted list is one.
type merge []*head

// sink puts the first run in its place.
func (m merge) sink() {
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < len(m) && m[child].compare(m[least].Key) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		m[i], m[least] = m[least], m[i]
		i = least
	}
}

// next reads the first trace of all; it is empty if it is not wanted.
func (m *merge) next(wanted bool) (b Bundle, err error) {
	if len(*m) == 0 {
		return b, io.ErrUnexpectedEOF
	}
	top := (*m)[0]
	text, err := top.in.next()
	if err != nil {
		return b, unexpectedEnd(err)
	}
	if wanted {
		b = Bundle{ID: top.ID, Cost: top.Cost, text: text}
	}
	if err = top.next(); err == io.EOF {
		last := len(*m) - 1
		(*m)[0], *m = (*m)[last], (*m)[:last]
	} else if err != nil {
		return b, err
	}
	m.sink()
	return b, nil
}
