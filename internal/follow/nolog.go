package follow

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// This file says what is no log where only more than the first bytes tells, by the
// rules of replay (unpack.Texture). What looks so is followed all the same: replay
// leaves out nothing that has a span in it, and here one may still come.

// appearance is whether the content of a generation is a log.
type appearance struct {
	sniff   bool            // its head has still to be judged
	looked  bool            // at what is handed out
	texture *unpack.Texture // of it, while it is not known what it is
}

var spanMark = []byte("Span(")

// weigh looks at what is handed out of a generation from its beginning, until it is
// known whether that is a log's or all that is there was handed out; rest bytes
// behind it hold no newline. It says once if it is none.
func (f *Follower) weigh(g *Generation, p piece, rest int64) {
	if g.texture == nil {
		if g.looked || g.line > 0 {
			return
		}
		g.looked, g.texture = true, new(unpack.Texture)
	}
	if g.texture = unlessLog(g.texture, p.data); g.texture != nil && p.end()+rest >= g.end {
		if reason := g.texture.Verdict(g.Name()); reason != "" {
			f.counts.Skipped++
			f.log.Warn("it is no log: "+reason+"; lines that come are read all the same", "path", g.Name())
		}
		g.texture = nil
	}
}

// unlessLog looks at what comes next, and forgets what was seen if it is a log's, or
// may have a span in it.
func unlessLog(t *unpack.Texture, data []byte) *unpack.Texture {
	if t == nil {
		return nil
	}
	if t.Look(data); t.IsLog() || bytes.Contains(data, spanMark) {
		return nil
	}
	return t
}

// errNoLog is what standard input holds that is no log.
type errNoLog struct{ reason string }

func (e *errNoLog) Error() string { return "standard input is no log: " + e.reason }

// sniffed is standard input. It fails where what begins it is packed or otherwise no
// log.
type sniffed struct {
	r    io.Reader
	head []byte
}

// Read implements io.Reader.
func (s *sniffed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if len(s.head) < sniffLen {
		s.head = append(s.head, p[:min(n, sniffLen-len(s.head))]...)
		if refused := refusal(s.head); refused != nil {
			return 0, refused
		}
	}
	return n, err
}

// refuseStdin notes why standard input was not read, or found to be no log, and says
// it if it is not all that there is.
func (f *Follower) refuseStdin(err error) {
	if f.stdinErr = err; f.files() {
		f.log.Error(err.Error(), "path", "-")
		f.mu.Lock()
		f.counts.Refused++
		f.mu.Unlock()
	}
}

// refusal tells what to do with standard input that begins so and is no log; nil
// for all that may be one.
func refusal(head []byte) error {
	if what, command := unpack.Packed(head); what != "" {
		reason := what + "; tail reads lines as they are written, replay reads what is packed: tomoscrape replay -"
		if command != "" {
			reason = fmt.Sprintf("%s; unpack it: %s FILE | tomoscrape tail -, or read it once: tomoscrape replay -",
				what, command)
		}
		return &errNoLog{reason}
	}
	if _, reason, _ := sniff(head); reason != "" {
		return &errNoLog{reason}
	}
	return nil
}

// sniff says what begins with head, the first bytes or all there are: packed
// if unpack.Open reads it, and else why it is no log, or "" if it may be one. A log may be
// in it all the same if it holds some, so that whoever does not read it misses
// something.
func sniff(head []byte) (packed bool, reason string, holds bool) {
	k := unpack.Sniff(head)
	switch {
	case k.Form.Compressed():
		return true, "", false
	case k.Form == unpack.Tar, k.Form == unpack.Zip:
		return false, k.Form.Data() + ", to which nothing is added; read it with tomoscrape replay", true
	default:
		return false, k.Reason, k.Form == unpack.Refuse
	}
}
