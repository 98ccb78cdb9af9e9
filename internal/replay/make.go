package replay

import (
	"cmp"
	"context"
	"iter"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/inorder"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// This file makes traces of records when they are asked for: to keep them would
// take several times the memory of their records, and longer. Where filters choose,
// or times are moved, all traces are made once before, to see which of them match
// and where they stand in the order (the survey).

// builder says how traces are made.
type builder struct {
	ctx    context.Context
	opt    assemble.Options
	names  *record.Names
	limit  int64             // of memory
	failed func(error) error // says what it means that records could not be read
	// elsewhere says where the parents are that traces miss; it is not asked before
	// all was read, and only for those who tell.
	elsewhere func(trace.ID) assemble.Elsewhere
}

func (m *builder) maker() *record.Maker {
	return record.NewMaker(m.opt, m.names, m.limit)
}

// surveyFew is how many traces are worth a worker's while.
const surveyFew = 64

// survey looks at some of the traces that are held.
func survey(m *record.Maker, h *record.Memory, from, end int, selection *query.Selection) (found []record.Chosen,
	c tally, err error) {
	for i := from; i < end; i++ {
		m.Reuse()
		t, duplicates, err := m.Trace(h.Bundle(i))
		if err != nil {
			return nil, c, err
		}
		c.add(&t, duplicates)
		if selection.Match(&t) {
			k := h.Key(i)
			k.Start, k.HasStart = t.Start, t.HasStart
			found = append(found, record.Chosen{Key: k, Index: i})
		}
	}
	return found, c, nil
}

// chooser says which traces of a partition match, and counts all of them.
func (m *builder) chooser(selection *query.Selection, counted *tally) func(h *record.Memory) ([]record.Chosen, error) {
	var mu sync.Mutex // of counted
	return func(h *record.Memory) ([]record.Chosen, error) {
		maker := m.maker()
		var list []record.Chosen
		var all tally
		for from := 0; from < h.Len(); from += surveyFew {
			var c tally
			var err error
			found, whole := unlessEnded(m.ctx, func() (found []record.Chosen) {
				found, c, err = survey(maker, h, from, min(from+surveyFew, h.Len()), selection)
				return found
			})
			if !whole {
				return nil, m.ctx.Err()
			}
			if err != nil {
				return nil, m.failed(err)
			}
			all.merge(c)
			list = append(list, found...)
		}
		mu.Lock()
		defer mu.Unlock()
		counted.merge(all)
		return list, nil
	}
}

// orderMemory orders what never went to disk; all match if selection is nil. It
// gives those that match by their places in the order of traces.
func (m *builder) orderMemory(h *record.Memory, selection *query.Selection) (c tally, matching int,
	ordered func(first, end int) iter.Seq2[record.Bundle, error]) {
	type part struct {
		found []record.Chosen
		tally tally
	}
	var list []record.Chosen
	if selection == nil {
		list = h.All()
	} else {
		makers := sync.Pool{New: func() any { return m.maker() }}
		inorder.Each(func(yield func(int) bool) {
			for i := 0; i < h.Len() && m.ctx.Err() == nil && yield(i); i += surveyFew {
			}
		}, func(from int) part {
			p, _ := unlessEnded(m.ctx, func() (p part) {
				maker := makers.Get().(*record.Maker)
				defer makers.Put(maker)
				// what memory holds is as it was made
				p.found, p.tally, _ = survey(maker, h, from, min(from+surveyFew, h.Len()), selection)
				return p
			})
			return p
		}, func(p part) bool {
			list = append(list, p.found...)
			c.merge(p.tally)
			return true
		})
	}
	record.SortChosen(list)
	return c, len(list), func(first, end int) iter.Seq2[record.Bundle, error] {
		return func(yield func(record.Bundle, error) bool) {
			for _, s := range list[first:end] {
				if !yield(h.Bundle(s.Index), nil) {
					return
				}
			}
		}
	}
}

// batchCost is what a batch costs when it is decoded, or one trace of more. A trace
// that is not held whole is the last of its batch.
const batchCost = 512 << 10

// batch is some traces to be made.
type batch struct {
	bundles []record.Bundle
	weight  int64 // of the memory that it may take
	err     error // the last thing that comes
}

// batches gives bundles in batches that are worth a worker's while. It waits where
// more than a quarter of the memory is under way.
func (m *builder) batches(ctx context.Context, bundles iter.Seq2[record.Bundle, error],
	room *semaphore.Weighted) iter.Seq[batch] {
	most := m.most()
	return func(yield func(batch) bool) {
		var next batch
		flush := func() bool {
			next.weight = max(min(next.weight, most), 1)
			if room.Acquire(ctx, next.weight) != nil {
				return false
			}
			going := yield(next)
			next = batch{}
			return going
		}
		for b, err := range bundles {
			if err != nil {
				next.err = err
				break
			}
			next.bundles = append(next.bundles, b)
			if next.weight += b.Cost; (next.weight >= batchCost || b.Cost > m.limit) && !flush() {
				return
			}
		}
		if len(next.bundles) > 0 || next.err != nil {
			flush()
		}
	}
}

// most is how much of the memory may be under way between records and an output.
func (m *builder) most() int64 { return max(m.limit/4, 1) }

// inOrder makes traces, several at a time: use makes of each batch what take gets,
// in order and one at a time, until it returns false. maker is one that use has
// for itself.
func inOrder[Out any](m *builder, bundles iter.Seq2[record.Bundle, error], use func(*record.Maker, batch) Out,
	take func(Out) bool) {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	room := semaphore.NewWeighted(m.most())
	makers := sync.Pool{New: func() any {
		opt := m.opt
		opt.Elsewhere = m.elsewhere
		return record.NewMaker(opt, m.names, m.limit)
	}}
	type made struct {
		out    Out
		whole  bool
		weight int64
	}
	inorder.Each(m.batches(ctx, bundles, room), func(b batch) (d made) {
		d.weight = b.weight
		d.out, d.whole = unlessEnded(m.ctx, func() Out {
			maker := makers.Get().(*record.Maker)
			defer makers.Put(maker)
			return use(maker, b)
		})
		return d
	}, func(d made) bool {
		defer room.Release(d.weight)
		if d.whole && take(d.out) {
			return true
		}
		cancel()
		return false
	})
}

// unlessEnded gives what work makes, or, when ctx ends, nothing: one trace may be as
// large as all memory, and to make it takes long. Work then goes on by itself, and
// nobody gets what it makes.
func unlessEnded[Out any](ctx context.Context, work func() Out) (out Out, whole bool) {
	made := make(chan Out, 1)
	go func() { made <- work() }()
	select {
	case out = <-made:
		return out, true
	case <-ctx.Done():
		return out, false
	}
}

// byPieces has work make what take gets, piece by piece, until ctx ends: work then
// ends with its next piece, and is not waited for.
func byPieces(ctx context.Context, take func(text []byte) []byte, work func(full func([]byte) []byte)) {
	pieces, taken := make(chan []byte), make(chan []byte)
	go func() {
		defer close(pieces)
		work(func(text []byte) []byte {
			select {
			case pieces <- text:
				return <-taken
			case <-ctx.Done():
				runtime.Goexit()
				return nil
			}
		})
	}()
	for ctx.Err() == nil {
		select {
		case text, more := <-pieces:
			if !more {
				return
			}
			taken <- take(text)
		case <-ctx.Done():
		}
	}
}

// render has work called for each trace, several at a time but for large ones; the
// trace is work's only until it returns. take gets what work has appended, in the order of traces,
// one at a time, and may return false for no more. all says that no trace is
// missing from those that were counted.
func (m *builder) render(bundles iter.Seq2[record.Bundle, error], work func(dst []byte, t *trace.Trace,
	full func([]byte) []byte) []byte, take func(text []byte) bool) (c tally, all bool, err error) {
	type rendered struct {
		text  *[]byte
		large *trace.Trace // behind the text, not rendered yet
		tally tally
		err   error
	}
	texts := sync.Pool{New: func() any { return new([]byte) }}
	all = true
	inOrder(m, bundles, func(maker *record.Maker, b batch) (r rendered) {
		r.text, r.err = texts.Get().(*[]byte), b.err
		*r.text = (*r.text)[:0]
		for _, bundle := range b.bundles {
			maker.Reuse()
			t, duplicates, err := maker.Trace(bundle)
			if err != nil {
				r.err = m.failed(err)
				break
			}
			r.tally.add(&t, duplicates)
			if t.Large != nil { // it ends its batch
				r.large = &t
				break
			}
			*r.text = work(*r.text, &t, nil)
		}
		return r
	}, func(r rendered) bool {
		c.merge(r.tally)
		full := func(text []byte) []byte {
			all = all && (len(text) == 0 || take(text))
			poison.Bytes(text)
			return text[:0]
		}
		*r.text = full(*r.text)
		if r.large != nil && all {
			byPieces(m.ctx, full, func(full func([]byte) []byte) { full(work(nil, r.large, full)) })
		}
		poison.Bytes((*r.text)[:cap(*r.text)])
		texts.Put(r.text)
		err = r.err
		return all && err == nil && m.ctx.Err() == nil
	})
	err = cmp.Or(err, m.ctx.Err())
	return c, all && err == nil, err
}

// traces makes traces that can be kept. An error is the last that comes.
func (m *builder) traces(bundles iter.Seq2[record.Bundle, error]) iter.Seq2[*trace.Trace, error] {
	type made struct {
		traces []trace.Trace
		err    error
	}
	return func(yield func(*trace.Trace, error) bool) {
		ended := false
		inOrder(m, bundles, func(maker *record.Maker, b batch) (d made) {
			maker.Forget()
			for _, bundle := range b.bundles {
				t, _, err := maker.Trace(bundle)
				if err != nil {
					d.err = m.failed(err)
					return d
				}
				d.traces = append(d.traces, t)
			}
			d.err = b.err
			return d
		}, func(d made) bool {
			for i := range d.traces {
				if m.ctx.Err() != nil {
					return false
				}
				if ended = !yield(&d.traces[i], nil); ended {
					return false
				}
			}
			if ended = d.err != nil; ended {
				yield(nil, d.err)
			}
			return !ended
		})
		if err := m.ctx.Err(); err != nil && !ended {
			yield(nil, err)
		}
	}
}
