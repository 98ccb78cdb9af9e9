package follow

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/poison"
)

// lastLine is a line at the end of a generation that has no newline.
type lastLine struct {
	half    int64     // where it begins, if it was handed out without an end; else -1
	final   bool      // it is to be handed out without a newline
	asked   time.Time // when it was last looked for somebody who writes to it
	written bool      // there was somebody
}

// failure is that reading fails at the moment.
type failure struct {
	retry   time.Time // not before
	failing time.Time // since
}

const (
	blockSize = 512 << 10
	turn      = 8 // blocks of one family before it is the next one's turn
	retryWait = time.Second
)

// Block is some whole lines of a generation, verified to be its own.
type Block struct {
	Family     *Family
	Generation *Generation
	// Data is borrowed until take returns.
	Data []byte
	// Size is how many bytes of the generation the block stands for: those of Data,
	// and of a line that is Cut the rest.
	Size int64
	// Offset is that of Data in the generation, in bytes after unpacking.
	Offset int64
	// Line is the number of the first line, from 1.
	Line int64
	// Continues: Data goes on right where the family's block before this one
	// ended, in the same generation or in the one that followed. If not, there is
	// a gap (a truncation, a lost file, a restart), or the order is not that of
	// writing (a late writer in a rotated file), and nothing may be joined over it.
	Continues bool
	// Final: Data is the last line of its generation and has no newline.
	Final bool
	// Cut: Data is the first Options.MaxLine bytes of one line that is longer,
	// without its newline. The rest was passed over.
	Cut bool

	lines int64 // how many there are: take may write to Data
}

// reader is what only the goroutine of Run uses.
type reader struct {
	buf  []byte
	take func(*Block) error
}

// read hands out blocks until the context ends, take fails or there is only
// standard input and that ended.
func (f *Follower) read(ctx context.Context, take func(*Block) error) error {
	f.reader.take = take
	stdin := f.readStdin(ctx)
	for ctx.Err() == nil {
		worked, err := f.pass(ctx)
		if err != nil {
			return err
		}
		wake := f.wake
		if worked {
			wake = closedChannel
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case b, ok := <-stdin:
			if !ok {
				if stdin = nil; !f.files() {
					return f.stdinErr
				}
				continue
			}
			err := take(&b.Block)
			poison.Bytes(b.Data)
			b.Generation.acks.advance(b.Offset+b.Size, b.Line-1+b.lines)
			close(b.taken)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// pass serves each family that has something, in turn.
func (f *Follower) pass(ctx context.Context) (worked bool, err error) {
	f.readyMu.Lock()
	var list []*Family
	for fam := range f.readySet {
		list = append(list, fam)
	}
	clear(f.readySet)
	f.readyMu.Unlock()
	slices.SortFunc(list, func(a, b *Family) int { return cmp.Compare(a.log, b.log) })
	for _, fam := range list {
		for n := 0; ; n++ {
			if n == turn {
				f.ready(fam)
				break
			}
			if ctx.Err() != nil {
				return worked, nil
			}
			did, err := f.serve(fam)
			if err != nil {
				return true, err
			}
			if !did {
				break
			}
			worked = true
		}
	}
	return worked, nil
}

// job is what the reader has to know of a generation to read on without the lock.
type job struct {
	g               *Generation
	file            *os.File
	offset, scanned int64
	size            int64
	packed, final   bool
	batch           []byte // from nxadm/tail
	blank           int64  // where the NULs begin that end what was read; -1 if none do
	gaps            int64
}

// pick chooses the oldest generation of a family that has something to read.
func (f *Follower) pick(fam *Family) (job, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for _, g := range fam.generations {
		if g.file == nil || g.state != following || now.Before(g.retry) {
			continue
		}
		j := job{g: g, file: g.file, offset: g.offset, scanned: max(g.scanned, g.offset), size: g.last.size,
			packed: g.packed, final: g.final, blank: -1, gaps: g.gaps}
		switch {
		case g.packed:
			return j, true
		case g.grower != nil:
			var fits bool
			if j.batch, fits = g.grower.batch(g.offset); !fits {
				f.stopGrower(g)
			} else if j.batch == nil {
				continue
			} else {
				return j, true
			}
			fallthrough
		default:
			if j.size > j.scanned || j.final && j.size > j.offset {
				return j, true
			}
		}
	}
	return job{}, false
}

// serve reads and hands out one block of a family.
func (f *Follower) serve(fam *Family) (did bool, err error) {
	j, ok := f.pick(fam)
	if !ok {
		return false, nil
	}
	if err := f.number(&j); err != nil {
		f.failing(j.g, err)
		return true, nil
	}
	switch {
	case j.packed:
		return true, f.servePacked(&j)
	case j.batch != nil:
		return true, f.hand(&j, j.lines(j.batch, false), 0)
	}
	err = f.servePlain(&j)
	var read *readError
	if errors.As(err, &read) {
		f.failing(j.g, read.error)
		return true, nil
	}
	return true, err
}

// readError is an error of a file, not of take.
type readError struct{ error }

// at reads what there is at an offset.
func (j *job) at(buf []byte, offset int64) ([]byte, error) {
	n, err := j.file.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &readError{err}
	}
	return buf[:n], nil
}

// lines makes a piece of whole lines that stand at the job's offset.
func (j *job) lines(data []byte, final bool) piece {
	return piece{data: data, offset: j.offset, size: int64(len(data)), final: final}
}

// servePlain reads a block of a plain file. Of a line whose end is still to come
// nothing is kept but how far it was searched.
func (f *Follower) servePlain(j *job) error {
	need := int64(blockSize)
	f.buffer(need)
	final := j.final && j.scanned == j.size
	switch {
	case final:
		if need = j.size - j.offset; need > int64(f.opt.MaxLine) {
			return f.serveLong(j, j.size, true)
		}
	case j.scanned > j.offset:
		data, err := j.at(f.reader.buf[:blockSize], j.scanned)
		if err != nil {
			return err
		}
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			j.blank = blankAt(data, j.scanned)
			f.scannedTo(j, j.behind(j.scanned, data), len(data) == 0)
			return nil
		}
		end := j.scanned + int64(i) + 1
		if end-1-j.offset > int64(f.opt.MaxLine) {
			return f.serveLong(j, end, false)
		}
		need = max(need, end-j.offset)
	}
	data, err := j.at(f.buffer(need), j.offset)
	if err != nil {
		return err
	}
	if final {
		if int64(len(data)) < need || bytes.IndexByte(data, '\n') >= 0 {
			f.scannedTo(j, j.offset, true)
			return nil
		}
		return f.hand(j, j.lines(data, true), 0)
	}
	j.blank = blankAt(data, j.offset)
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 {
		f.scannedTo(j, j.behind(j.offset, data), len(data) == 0)
		return nil
	}
	rest := int64(len(data) - end)
	if whole, ok := j.upToGap(data[:end]); ok {
		if whole == 0 {
			f.waitForGap(j)
			return nil
		}
		end, rest, j.blank = whole, 0, -1
	}
	if start, stop, ok := longLine(data[:end], f.opt.MaxLine); ok {
		if start == 0 {
			return f.serveLong(j, j.offset+int64(stop), false)
		}
		end, rest = start, 0
	}
	return f.hand(j, j.lines(data[:end], false), rest)
}

// buffer is the reader's buffer, n bytes of it. What a long line has made of it is
// not kept for others.
func (f *Follower) buffer(n int64) []byte {
	size := max(n, blockSize)
	if have := int64(len(f.reader.buf)); have < size || have > 2*blockSize && size == blockSize {
		f.reader.buf = make([]byte, size)
	}
	return f.reader.buf[:n]
}

// serveLong hands out a line that is longer than the maximum; end is that of the
// line, newline included unless it is final. NULs in front are no part of it: they
// are passed over first, so that what is left is read as any other line.
func (f *Follower) serveLong(j *job, end int64, final bool) error {
	start, err := f.zeros(j, end)
	if err != nil {
		return err
	}
	if start > j.offset {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.stands(j, start) {
			f.passZeros(j.g, start)
		}
		return nil
	}
	data, err := j.at(f.buffer(int64(f.opt.MaxLine)), j.offset)
	if err != nil {
		return err
	}
	if len(data) < f.opt.MaxLine { // truncated meanwhile
		f.scannedTo(j, j.offset, true)
		return nil
	}
	return f.hand(j, piece{data: data, offset: j.offset, size: end - j.offset, cut: true, final: final}, 0)
}

// zeros is where the NULs end that a line begins with.
func (f *Follower) zeros(j *job, end int64) (int64, error) {
	at := j.offset
	for at < end {
		data, err := j.at(f.buffer(min(blockSize, end-at)), at)
		if err != nil {
			return 0, err
		}
		if zeros := leadingZeros(data); zeros < len(data) || len(data) == 0 {
			return at + int64(zeros), nil
		}
		at = min(j.behind(at, data), end)
	}
	return at, nil
}

func leadingZeros(data []byte) int { return len(data) - len(bytes.TrimLeft(data, "\x00")) }

// behind is where reading goes on behind data that was read at an offset and has
// no newline: a hole of a sparse file is passed over.
func (j *job) behind(offset int64, data []byte) int64 {
	offset += int64(len(data))
	if len(data) > 0 && data[len(data)-1] == 0 && offset < j.size {
		return nextData(int(j.file.Fd()), offset, j.size)
	}
	return offset
}

// longLine finds the first line that is too long.
func longLine(data []byte, longest int) (start, stop int, ok bool) {
	if len(data) <= longest {
		return 0, 0, false
	}
	for start < len(data) {
		stop = start + bytes.IndexByte(data[start:], '\n') + 1
		if stop-1-start > longest {
			return start, stop, true
		}
		start = stop
	}
	return 0, 0, false
}

// scannedTo notes how far there is no newline. If there was nothing where
// something should have been, the file is looked at.
func (f *Follower) scannedTo(j *job, to int64, nothing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j.g.offset == j.offset && j.g.file == j.file {
		j.g.scanned = to
		if j.blank >= 0 {
			j.g.noteBlank(j.blank)
		}
		if nothing {
			j.g.final = false
			f.stands(j, j.size)
		}
	}
}

// stands tells whether what was read up to end is the generation's. If the file
// turns out to have been truncated, all is scanned at once: what was cut off has
// to be handed out before what came after it.
func (f *Follower) stands(j *job, end int64) bool {
	ok := j.g.offset == j.offset && j.g.file == j.file && f.verify(j.g, end, f.now())
	if f.scanNow {
		f.scan(f.now())
	}
	return ok
}

// hand verifies a piece and hands it out; rest bytes behind it hold no newline.
func (f *Follower) hand(j *job, p piece, rest int64) error {
	g := j.g
	f.mu.Lock()
	if !f.stands(j, p.end()) {
		f.mu.Unlock()
		return nil
	}
	if p.final && g.last.size != p.end() {
		g.final = false // it goes on
		f.mu.Unlock()
		return nil
	}
	b := f.advance(g, p, rest)
	g.noteBlank(j.blank)
	f.mu.Unlock()
	return f.deliver(&b)
}

// deliver hands out a block that the generation has moved over.
func (f *Follower) deliver(b *Block) error {
	err := f.reader.take(b)
	if poison.Bytes(b.Data); err != nil {
		return err
	}
	b.Generation.acks.advance(b.Offset+b.Size, b.Line-1+b.lines)
	return nil
}

var newline = []byte{'\n'}

// countLines counts the lines of a block.
func (b *Block) countLines() {
	b.lines = int64(bytes.Count(b.Data, newline))
	if b.Final || b.Cut {
		b.lines++
	}
}

// advance moves a generation on and makes the block for it.
func (f *Follower) advance(g *Generation, p piece, rest int64) Block {
	fam := g.family
	b := Block{Family: fam, Generation: g, Data: p.data, Offset: p.offset, Size: p.size, Line: g.line + 1,
		Continues: fam.continues(g, p.offset), Final: p.final, Cut: p.cut}
	if p.cut {
		f.counts.LongLines++
	}
	f.weigh(g, p, rest)
	b.countLines()
	f.counts.Bytes += p.end() - g.offset
	f.counts.Lines += b.lines
	g.offset, g.scanned, g.failing = p.end(), p.end()+rest, time.Time{}
	g.line += b.lines
	g.end = max(g.end, p.end())
	g.half = -1
	if p.final {
		g.final, g.half = false, b.Offset
	}
	fam.last = lastBlock{g, p.end(), !p.final}
	return b
}

// passZeros moves a generation over NULs between lines, up to an offset.
func (f *Follower) passZeros(g *Generation, to int64) {
	if to <= g.offset {
		return
	}
	if g.family.continues(g, g.offset) { // so does the line behind them
		g.family.last = lastBlock{g, to, true}
	}
	f.counts.Bytes += to - g.offset
	g.offset, g.scanned = to, max(g.scanned, to)
	g.end = max(g.end, to)
	g.acks.advance(to, g.line)
}

// number counts the lines before the first that is handed out, where that has
// not been done.
func (f *Follower) number(j *job) error {
	f.mu.Lock()
	known := j.g.line >= 0
	f.mu.Unlock()
	if known || j.packed {
		return nil
	}
	lines := int64(0)
	for at := int64(0); at < j.offset; {
		data, err := j.at(f.buffer(min(blockSize, j.offset-at)), at)
		if err != nil {
			return err
		}
		if len(data) == 0 {
			break // truncated: what is read now is not verified
		}
		lines += int64(bytes.Count(data, newline))
		at = j.behind(at, data)
	}
	f.mu.Lock()
	j.g.line = lines
	f.mu.Unlock()
	j.g.acks.number(j.offset, lines)
	return nil
}

// failing puts off a file that cannot be read.
func (f *Follower) failing(g *Generation, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(err, os.ErrClosed) {
		return // it was let go of meanwhile
	}
	now := f.now()
	if g.failing.IsZero() {
		g.failing = now
		f.counts.ReadErrors++
		f.log.Error("reading failed, it is tried again: "+g.Name(), "path", g.Name(), "offset", g.offset, "reason",
			paths.Reason(err))
	}
	g.retry = now.Add(retryWait)
}
