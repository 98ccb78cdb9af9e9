package tail

import (
	"cmp"
	"container/heap"
	"container/list"
	"slices"
	"time"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/trace"
)

// This file decides when a trace that is being logged is given out:
//
//	          a span            quiet for Settle, and complete;
//	             │              quiet for Idle; open for Longest
//	             v                          │
//	           open ────────────────────────┴──> given out, kept for Longest
//	             ^                                     │
//	             └──────── a span that is late ────────┘ all of it is given out again
//
// Time is that of the clock, and where old lines are read that of the log, too: a
// trace of last week is quiet when the log is two seconds further.

// LiveOptions say when traces are given out. The zero value is the default.
type LiveOptions struct {
	Settle  time.Duration // a complete trace is quiet for so long; default 2 s
	Idle    time.Duration // any other trace is; default 60 s
	Longest time.Duration // that a trace stays open, and is kept for late spans afterwards; default 10 minutes
	Memory  int64         // what traces may take, in bytes; default DefaultMemory
}

// live holds the traces that are open, and those that were given out of late.
type live struct {
	opt     LiveOptions
	encoder *record.Encoder
	record  []byte
	maker   *record.Maker
	out     func(*trace.Trace, []*follow.InFlight) error // takes a trace that is given out, and the lines of its spans
	clock   func() time.Time

	traces map[trace.ID]*liveTrace
	due    liveHeap   // open ones
	kept   *list.List // of *liveTrace, the longest kept first
	size   int64
	early  int64 // given out for want of memory
	recent recent

	ahead  time.Duration // by how much the time of the log ran ahead of the clock
	newest int64         // time in the log, µs; 0 for none
}

// liveTrace is a trace that is open or kept.
type liveTrace struct {
	id          trace.ID
	text        []byte // records behind their lengths
	size        int64
	cost        int64 // of its spans when they are decoded
	inFlight    []*follow.InFlight
	first, last time.Time // of its spans since it was opened
	asked       bool      // whether it is complete, since its last span
	due         time.Time
	index       int           // in the heap, -1 if it is kept
	kept        *list.Element // nil if it is open
	until       time.Time     // it is kept
}

// What a span takes beside its record, and a trace beside its spans, about.
const (
	liveSpanCost  = 200
	liveTraceCost = 700
)

func newLive(opt LiveOptions, a assemble.Options, out func(*trace.Trace, []*follow.InFlight) error) *live {
	opt.Settle = cmp.Or(opt.Settle, 2*time.Second)
	opt.Idle = cmp.Or(opt.Idle, time.Minute)
	opt.Longest = cmp.Or(opt.Longest, 10*time.Minute)
	opt.Memory = cmp.Or(opt.Memory, record.DefaultMemory)
	n := &record.Names{}
	l := &live{opt: opt, encoder: record.NewEncoder(n, false), out: out, clock: time.Now,
		traces: map[trace.ID]*liveTrace{}, kept: list.New()}
	l.recent.most = remembered
	a.Elsewhere = l.recent.elsewhere
	l.maker = record.NewMaker(a, n, opt.Memory)
	return l
}

// now is the clock and what the log is ahead of it.
func (l *live) now() time.Time { return l.clock().Add(l.ahead) }

// add adds a span, of which it keeps a record.
func (l *live) add(s *trace.Span, holds []*follow.InFlight) error {
	k := record.KeyOf(s)
	l.logTime(k)
	now := l.now()
	t := l.traces[k.ID]
	if t == nil {
		t = &liveTrace{id: k.ID.Clone(), index: -1, first: now, size: liveTraceCost}
		l.size += t.size
		l.traces[t.id] = t
	} else if t.kept != nil {
		l.kept.Remove(t.kept)
		t.kept, t.first = nil, now
	}
	l.recent.add(s.ID, t.id)
	l.record = l.encoder.Append(l.record[:0], s)
	t.text = record.AppendFramed(t.text, l.record)
	size := int64(record.FrameSize+len(l.record)) + liveSpanCost
	t.size += size
	t.cost += k.Cost
	l.size += size
	t.inFlight = append(t.inFlight, holds...)
	t.last, t.asked = now, false
	l.schedule(t, now.Add(l.opt.Settle))
	return l.bound()
}

// logTime moves the clock ahead where old lines are read.
func (l *live) logTime(k record.Key) {
	if !k.HasStart {
		return
	}
	now := l.clock()
	if at := time.UnixMicro(k.Start); at.Before(now.Add(-l.opt.Idle)) {
		if l.newest != 0 && k.Start > l.newest {
			l.ahead += min(time.Duration(k.Start-l.newest)*time.Microsecond, l.opt.Longest)
		}
		l.newest = max(l.newest, k.Start)
	}
}

// schedule makes a trace due at a time, or sooner if it was open for long enough.
func (l *live) schedule(t *liveTrace, at time.Time) {
	if longest := t.first.Add(l.opt.Longest); longest.Before(at) {
		at = longest
	}
	t.due = at
	if t.index < 0 {
		heap.Push(&l.due, t)
	} else {
		heap.Fix(&l.due, t.index)
	}
}

// tick gives out what is due.
func (l *live) tick() error {
	now := l.now()
	for len(l.due) > 0 && !now.Before(l.due[0].due) {
		if err := l.isDue(l.due[0], now); err != nil {
			return err
		}
	}
	for e := l.kept.Front(); e != nil && !now.Before(e.Value.(*liveTrace).until); e = l.kept.Front() {
		l.forget(e.Value.(*liveTrace))
	}
	return nil
}

func (l *live) isDue(t *liveTrace, now time.Time) error {
	idle := t.last.Add(l.opt.Idle)
	must := !now.Before(idle) || !now.Before(t.first.Add(l.opt.Longest))
	if t.asked && !must {
		l.schedule(t, idle)
		return nil
	}
	made, err := l.make(t)
	if err != nil {
		return err
	}
	if !must && !made.Complete() {
		t.asked = true
		l.schedule(t, idle)
		return nil
	}
	return l.emit(t, &made, now)
}

func (l *live) make(t *liveTrace) (trace.Trace, error) {
	l.maker.Reuse()
	made, _, err := l.maker.Trace(record.NewBundle(t.id, t.cost, t.text))
	return made, err
}

// emit gives a trace out, and keeps it for spans that are late.
func (l *live) emit(t *liveTrace, made *trace.Trace, now time.Time) error {
	holds := t.inFlight
	t.inFlight = nil
	if t.index >= 0 {
		heap.Remove(&l.due, t.index)
	}
	t.until = now.Add(l.opt.Longest)
	t.kept = l.kept.PushBack(t)
	return l.out(made, holds)
}

// forget forgets a trace that was given out.
func (l *live) forget(t *liveTrace) {
	l.kept.Remove(t.kept)
	delete(l.traces, t.id)
	l.size -= t.size
}

// bound keeps the traces within memory: those that were given out are forgotten,
// then those that are open are given out, the ones that are due first.
func (l *live) bound() error {
	for l.size > l.opt.Memory && len(l.traces) > 0 {
		if l.kept.Len() == 0 {
			if err := l.emitEarly(l.due[0]); err != nil {
				return err
			}
		}
		l.forget(l.kept.Front().Value.(*liveTrace))
	}
	return nil
}

func (l *live) emitEarly(t *liveTrace) error {
	made, err := l.make(t)
	if err != nil {
		return err
	}
	l.early++
	return l.emit(t, &made, l.now())
}

// emitHolders gives out the traces that have some of these holds.
func (l *live) emitHolders(holds []*follow.InFlight) error {
	if len(holds) == 0 {
		return nil
	}
	wanted := make(map[*follow.InFlight]bool, len(holds))
	for _, h := range holds {
		wanted[h] = true
	}
	for _, t := range slices.Clone(l.due) {
		if slices.ContainsFunc(t.inFlight, func(h *follow.InFlight) bool { return wanted[h] }) {
			if err := l.emitEarly(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// emitAll gives out all that is open.
func (l *live) emitAll() error {
	for len(l.due) > 0 {
		t := l.due[0]
		made, err := l.make(t)
		if err != nil {
			return err
		}
		if err := l.emit(t, &made, l.now()); err != nil {
			return err
		}
	}
	return nil
}

// liveHeap is open traces, the one that is due first on top.
type liveHeap []*liveTrace

func (h liveHeap) Len() int           { return len(h) }
func (h liveHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h liveHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *liveHeap) Push(t any) {
	t.(*liveTrace).index = len(*h)
	*h = append(*h, t.(*liveTrace))
}

func (h *liveHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
