package record

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"io"
	"os"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	MostPartitions  = 128
	partitionBuffer = 64 << 10 // bytes that are written at once
	readBuffer      = 256 << 10
)

// spill is records on disk, in partitions by a hash of their trace ids. The hash
// is another one in every spill, so that nobody can make ids that fall into one
// partition, and a partition that is too large can be split again.
type spill struct {
	disk  *disk
	parts []partition
	seed  maphash.Seed
}

func newSpill(d *disk, parts int) *spill {
	return &spill{disk: d, parts: make([]partition, parts), seed: maphash.MakeSeed()}
}

// add writes a record behind all others of its partition. It keeps neither the key
// nor the record.
func (s *spill) add(k Key, record string) error {
	p := &s.parts[maphash.Comparable(s.seed, k.ID)%uint64(len(s.parts))]
	if p.cost == 0 {
		p.id = k.ID.Clone()
	}
	p.several = p.several || p.id != k.ID
	p.cost += k.Cost
	p.spans++
	p.buffer = AppendFramed(p.buffer, record)
	if len(p.buffer) < partitionBuffer {
		return nil
	}
	return p.flush(s.disk)
}

func (s *spill) close() {
	for i := range s.parts {
		s.parts[i].close()
	}
}

// partition is some of the traces of a spill, as records.
type partition struct {
	file    *os.File // nil as long as the buffer holds all
	buffer  []byte
	size    int64 // bytes in the file
	cost    int64 // of its spans when they are decoded
	spans   int64
	id      trace.ID
	several bool // it has other traces than id
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
	poison.Bytes(p.buffer)
	p.buffer = p.buffer[:0]
	return nil
}

// open begins to read all records in their order.
func (p *partition) open(d *disk) (*recordReader, error) {
	if p.file == nil {
		return newRecordReader(bytes.NewReader(p.buffer), 0, int64(len(p.buffer)), 0), nil
	}
	if err := p.flush(d); err != nil {
		return nil, err
	}
	p.buffer = nil
	return newRecordReader(p.file, 0, p.size, readBuffer), nil
}

// text reads all records, behind their lengths, and frees the disk. The error is a
// [*TempError].
func (p *partition) text(d *disk) ([]byte, error) {
	text := make([]byte, p.size, p.size+int64(len(p.buffer)))
	if p.file != nil {
		if _, err := p.file.ReadAt(text, 0); err != nil {
			return nil, d.failed("read", unexpectedEnd(err))
		}
	}
	text = append(text, p.buffer...)
	p.close()
	return text, nil
}

func (p *partition) close() {
	if p.file != nil {
		p.file.Close()
	}
	p.file, p.buffer = nil, nil
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
	var length [FrameSize]byte
	if _, err := io.ReadFull(r.in, length[:]); err != nil {
		return "", unexpectedEnd(err)
	}
	n := int64(binary.LittleEndian.Uint64(length[:]))
	if r.left -= FrameSize; n < 0 || n > r.left {
		return "", ErrDamaged
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
