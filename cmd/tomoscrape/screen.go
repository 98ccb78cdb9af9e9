package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tomoscrape/tomoscrape/export/terminal"
)

// terminalOf says whether a stream is one, and how wide.
func terminalOf(stream any) (width int, is bool) {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width, true
	}
	return 80, true
}

// lookup is a variable of the environment, "" if it is not set.
func (p *program) lookup(name string) string {
	for _, entry := range slices.Backward(p.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// view is how standard output shows text: in colours and cut to its width only
// on a terminal.
func (p *program) view() terminal.View {
	width, is := terminalOf(p.out)
	return terminal.View{Width: width, Color: is && p.lookup("NO_COLOR") == "" && p.lookup("TERM") != "dumb"}
}

// progress draws a bar on standard error while a terminal is there to see it, until
// its end. The zero value draws nothing.
type progress struct {
	screen *gate
	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil until it is known how much there is to read
}

func (p *program) progress(o *options) *progress {
	if _, is := terminalOf(p.err); !is || o.noProgress || p.lookup("TERM") == "dumb" {
		return &progress{}
	}
	return &progress{screen: &gate{to: p.err}}
}

// step tells how many bytes are read, of how many.
func (b *progress) step(done, total int64) {
	if b.screen == nil || total <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.screen), progressbar.OptionSetDescription("reading"),
			progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionEnableColorCodes(false))
	}
	if b.bar.GetMax64() != total {
		b.bar.ChangeMax64(total)
	}
	_ = b.bar.Set64(min(done, total-1)) // at its end it would stay on the screen; its errors concern drawing only
}

// clear takes the bar off the screen, for a message.
func (b *progress) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear() // as above
	}
}

// end takes the bar off the screen for good: whatever it still draws, or is told,
// goes nowhere.
func (b *progress) end() {
	b.clear()
	if b.screen != nil {
		b.screen.close()
	}
}

// gate passes on what is written until it is closed.
type gate struct {
	mu     sync.Mutex
	to     io.Writer
	closed bool
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return len(p), nil
	}
	return g.to.Write(p)
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// besideBar writes where a bar may stand.
type besideBar struct {
	io.Writer
	bar *progress
}

func (w besideBar) Write(p []byte) (int, error) {
	w.bar.clear()
	return w.Writer.Write(p)
}
