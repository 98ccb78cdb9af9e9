package pipeline

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"io"
	"os"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	maxPartitions   = 128
	partitionBuffer = 64 << 10 // bytes that are written at once
	readBuffer      = 256 << 10
)

// spill is spans on disk, in partitions by a hash of their trace ids. The hash
// is another one in every spill, so that nobody can make ids that fall into one
// partition, and a partition that is too large can be split again.
type spill struct {
	disk  *disk
	names *names
	parts []partition
	seed  maphash.Seed
}

func newSpill(d *disk, parts int) *spill {
	return &spill{disk: d, names: &names{}, parts: make([]partition, parts), seed: maphash.MakeSeed()}
}

// add writes a span behind all others of its partition.
func (s *spill) add(span *trace.Span) error {
	cost := cost(span)
	p := s.part(span.TraceID, cost)
	begin := len(p.buffer)
	p.buffer = appendID(beginRecord(p.buffer), span.TraceID)
	p.buffer = binary.AppendUvarint(p.buffer, uint64(cost))
	p.buffer = s.names.appendSpan(p.buffer, span)
	endRecord(p.buffer, begin)
	return p.written(s.disk)
}

// move writes a record of another spill.
func (s *spill) move(id trace.ID, cost int64, record string) error {
	p := s.part(id, cost)
	begin := len(p.buffer)
	p.buffer = append(beginRecord(p.buffer), record...)
	endRecord(p.buffer, begin)
	return p.written(s.disk)
}

// part is the partition of a span, which it accounts for.
func (s *spill) part(id trace.ID, cost int64) *partition {
	p := &s.parts[maphash.Comparable(s.seed, id)%uint64(len(s.parts))]
	if p.cost == 0 {
		p.id = id
	}
	p.several = p.several || p.id != id
	p.cost += cost
	return p
}

func (s *spill) close() {
	for i := range s.parts {
		s.parts[i].close()
	}
}

// partition is some of the traces of a spill, as records: the trace id, the
// cost, the span.
type partition struct {
	file    *os.File // nil as long as the buffer holds all
	buffer  []byte
	size    int64 // bytes in the file
	cost    int64 // of its spans in memory
	id      trace.ID
	several bool // it has other traces than id
}

// written makes room in the buffer for the next record.
func (p *partition) written(d *disk) error {
	if len(p.buffer) < partitionBuffer {
		return nil
	}
	return p.flush(d)
}

func (p *partition) flush(d *disk) (err error) {
	if p.file == nil {
		if p.file, err = d.create(); err != nil {
			return err
		}
	}
	if err = d.write(p.file, p.buffer, p.size); err != nil {
		return err
	}
	p.size += int64(len(p.buffer))
	p.buffer = p.buffer[:0]
	return nil
}

// records gives all records in their order, then frees the disk. Its error is
// that of visit or a [*TempError].
func (p *partition) records(d *disk, visit func(record string) error) error {
	defer p.close()
	r := newRecordReader(bytes.NewReader(p.buffer), 0, int64(len(p.buffer)), 0)
	if p.file != nil {
		if err := p.flush(d); err != nil {
			return err
		}
		p.buffer = nil
		r = newRecordReader(p.file, 0, p.size, readBuffer)
	}
	for {
		record, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return d.failed("read", err)
		}
		if err := visit(record); err != nil {
			return err
		}
	}
}

func (p *partition) close() {
	if p.file != nil {
		p.file.Close()
	}
	p.file, p.buffer = nil, nil
}

// recordLength is how many bytes hold the length of a record, before it.
const recordLength = 8

// beginRecord leaves room for the length of the record that is appended next,
// and endRecord puts it there; begin is where the room is.
func beginRecord(dst []byte) []byte { return append(dst, make([]byte, recordLength)...) }

func endRecord(dst []byte, begin int) {
	binary.LittleEndian.PutUint64(dst[begin:], uint64(len(dst)-begin-recordLength))
}

// recordReader reads records.
type recordReader struct {
	in   *bufio.Reader
	left int64
}

func newRecordReader(file io.ReaderAt, from, to int64, buffer int) *recordReader {
	return &recordReader{bufio.NewReaderSize(io.NewSectionReader(file, from, to-from), buffer), to - from}
}

// next gives the next record, or [io.EOF] behind the last.
func (r *recordReader) next() (string, error) {
	if r.left == 0 {
		return "", io.EOF
	}
	var length [recordLength]byte
	if _, err := io.ReadFull(r.in, length[:]); err != nil {
		return "", unexpectedEnd(err)
	}
	n := int64(binary.LittleEndian.Uint64(length[:]))
	if r.left -= recordLength; n < 0 || n > r.left {
		return "", errCodec
	}
	r.left -= n
	var text strings.Builder // its String does not copy
	text.Grow(int(n))
	for want := int(n); want > 0; {
		if r.in.Buffered() == 0 {
			if _, err := r.in.Peek(1); err != nil {
				return "", unexpectedEnd(err)
			}
		}
		part, _ := r.in.Peek(min(want, r.in.Buffered()))
		text.Write(part)
		want -= len(part)
		_, _ = r.in.Discard(len(part)) // it is in the buffer
	}
	return text.String(), nil
}

func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
