package readahead

import (
	"context"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

const interruptibleSize = 64 << 10 // bytes read at once

// Interruptible reads in a goroutine, so that a silent pipe does not outlast the
// context. The goroutine ends with Close, or when the Read it is in returns.
type Interruptible struct {
	ctx  context.Context
	ask  chan struct{}
	got  chan block
	rest []byte
	err  error
}

// NewInterruptible begins to read; done is called when nothing is read any more.
func NewInterruptible(ctx context.Context, r io.Reader, done func()) *Interruptible {
	p := &Interruptible{ctx: ctx, ask: make(chan struct{}, 1), got: make(chan block, 1)}
	go func() {
		buf := make([]byte, interruptibleSize)
		for range p.ask {
			var n int
			err := codec.Guard(func() (err error) {
				n, err = r.Read(buf)
				return err
			})
			p.got <- block{data: buf[:n], err: err}
		}
		done()
	}()
	return p
}

// Read implements io.Reader.
func (p *Interruptible) Read(out []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.ask <- struct{}{}
		select {
		case b := <-p.got:
			p.rest, p.err = b.data, b.err
		case <-p.ctx.Done():
			p.err = p.ctx.Err()
			return 0, p.err
		}
	}
	n := copy(out, p.rest)
	p.rest = p.rest[n:]
	if len(p.rest) == 0 && n == 0 {
		return 0, p.err
	}
	return n, nil
}

// Close lets the goroutine end.
func (p *Interruptible) Close() { close(p.ask) }
