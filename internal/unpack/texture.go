package unpack

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const (
	textureWindow = 4 << 10  // bytes that are looked at together
	textureHead   = 16 << 10 // is looked at whole
	textureEvery  = 16 << 10 // behind it, one window in so many bytes
	textureFirst  = 600      // bytes from the first that is no NUL: a lastlog record twice
	little        = 128      // bytes
	separators    = 3        // kinds of controls: fewer may separate fields
	hole          = 64       // so many NULs in a row are no data
	controlsIn    = 32       // bytes of packed data are one that no text has, at least
	windowsIn     = 16       // windows are one that says what the whole is, at least
)

// Texture tells what content is that no magic names: text, or neither text nor a
// form that is read here. It looks at samples, the same ones however the content
// is cut up for Look, and at nothing more once its beginning is that of a log. The
// zero value is ready.
type Texture struct {
	log      bool  // it begins as a log does
	lead     int64 // NULs at the beginning
	offset   int64 // bytes seen behind them
	windows  struct{ all, logs, binary int64 }
	first    [textureFirst]byte
	firstLen int
	window   [textureWindow]byte
	length   int
}

// Reset forgets what was seen.
func (t *Texture) Reset() {
	t.log, t.lead, t.offset, t.firstLen, t.length = false, 0, 0, 0, 0
	t.windows.all, t.windows.logs, t.windows.binary = 0, 0, 0
}

// Look looks at what comes next.
func (t *Texture) Look(p []byte) {
	if t.log {
		return
	}
	if t.offset == 0 {
		n := len(p)
		p = bytes.TrimLeft(p, "\x00")
		t.lead += int64(n - len(p))
	}
	t.firstLen += copy(t.first[t.firstLen:], p)
	for len(p) > 0 && !t.log {
		at := t.offset % textureEvery
		if t.offset >= textureHead && at >= textureWindow { // between two windows
			n := min(int64(len(p)), textureEvery-at)
			t.offset += n
			p = p[n:]
			continue
		}
		n := copy(t.window[t.length:], p)
		t.offset += int64(n)
		p = p[n:]
		if t.length += n; t.length == textureWindow {
			t.judge()
		}
	}
}

// IsLog says that it begins as only logs do. Nothing that comes later changes that.
func (t *Texture) IsLog() bool { return t.log }

// judge looks at what stands in the window.
func (t *Texture) judge() {
	data := bytes.Trim(t.window[:t.length], "\x00") // a hole may go on over its ends
	whole := t.offset == int64(t.length) || len(data) > 0 && data[0] != t.window[0]
	t.windows.all++
	switch {
	case hasLogLine(data, whole):
		t.windows.logs++
		t.log = t.offset <= textureHead
	case isBinary(data):
		t.windows.binary++
	}
	t.length = 0
}

// isBinary tells by the share of the bytes that no text has; NULs alone, which also
// separate texts and fill gaps in them, are not enough. Of so little that packed data
// may have hardly any of them, what is no UTF-8 counts, too.
func isBinary(data []byte) bool {
	n, size, nuls, run := 0, len(data), 0, 0
	var which [256]bool
	kinds := 0
	for _, c := range data {
		switch {
		case c == 0:
			run++
			continue
		case run >= hole:
			size -= run
		default:
			nuls += run
		}
		if run = 0; controls[c] {
			n++
			if !which[c] {
				which[c] = true
				kinds++
			}
		}
	}
	if nuls > 0 {
		kinds++
	}
	switch {
	case n == 0:
		return false
	case kinds < separators && size >= little:
		return false
	case n+nuls >= 3:
		return (n+nuls)*controlsIn >= size
	}
	return size < little && invalidBytes(data)*4 > size
}

// invalidBytes counts those that are no UTF-8.
func invalidBytes(data []byte) (n int) {
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			n++
		}
		data = data[size:]
	}
	return n
}

// controls are the bytes that no text has. Terminals' own are text (BEL, BS, ESC
// and white space), and so is every byte of Latin-1, GB18030 and Shift-JIS. In
// packed data one byte in ten is one of them.
var controls = func() (set [256]bool) {
	for c := range 0x20 {
		set[c] = c < '\a' || c > '\r' && c != 0x1b
	}
	set[0x7f] = true
	return set
}()

// Verdict says why what was looked at, in which no span was found, is no log; "" if
// it may be one. The name, and what there is already, tell more about it.
func (t *Texture) Verdict(name string) (reason string) { return t.Kind(name).Reason }

// Kind says what all that was looked at is, by itself and by its name.
func (t *Texture) Kind(name string) Kind {
	if t.length > 0 && !t.log {
		t.judge()
	}
	if t.log || t.lead+t.offset == 0 {
		return Kind{}
	}
	first := t.first[:t.firstLen]
	if len(first) == 0 {
		return Kind{Skip, "nothing but NUL bytes"}
	}
	if records := loginRecords(first); records != "" {
		return Kind{Skip, records}
	}
	for _, width := range []int64{2, 4} {
		if isWideText(first, int(width)) {
			order := "LE"
			if t.lead%width == width-1 {
				order = "BE"
			}
			form := fmt.Sprintf("UTF-%d", 8*width)
			return Kind{Refuse, form + " text; convert it first: iconv -f " + form + order + " -t UTF-8"}
		}
	}
	if w := t.windows; w.binary*windowsIn < w.all || w.logs*windowsIn >= w.all {
		return Kind{}
	}
	return Kind{Foreign, "neither text nor a form that is read here" + hint(name, first, t.lead)}
}

// isWideText: UTF-16 or UTF-32 without a mark, most of it ASCII, from the first byte
// that is no NUL.
func isWideText(first []byte, width int) bool {
	units := len(first) / width
	text := 0
	for i := range units {
		c := first[width*i]
		rest := first[width*i+1 : width*(i+1)]
		if c != 0 && !controls[c] && allZero(rest) {
			text++
		}
	}
	return units >= 8 && text*10 >= units*9
}

// hasLogLine looks for a line that begins as only those of logs do. whole says
// that data begins with the beginning of a line.
func hasLogLine(data []byte, whole bool) bool {
	for len(data) > 0 {
		line, rest, more := bytes.Cut(data, []byte("\n"))
		if whole && isLogLine(line) {
			return true
		}
		if data = rest; !more {
			break
		}
		whole = true
	}
	return false
}

const clockWithin = 100 // bytes of the beginning of a line in which its time stands

// isLogLine tells whether a line begins with a time, or as one of the journal's
// export format or of a log of JSON objects.
func isLogLine(line []byte) bool {
	line = bytes.TrimLeft(line, "\x00")
	if bytes.HasPrefix(line, []byte("__REALTIME_TIMESTAMP=")) || bytes.HasPrefix(line, []byte("__CURSOR=")) {
		return true
	}
	if bytes.HasPrefix(line, []byte(`{"`)) && bytes.Contains(line, []byte(`":`)) {
		return true
	}
	line = line[:min(len(line), clockWithin)]
	for i, c := range line {
		switch {
		case controls[c] && c != 1 && c < 0x1c: // which separate fields in some logs
			return false
		case c == ':' && i > 0 && isClock(line[i-1:]), c == '.' && isSeconds(line[:i], line[i+1:]):
			return true
		}
	}
	return false
}

// isClock: 2:02:08.
func isClock(b []byte) bool {
	return len(b) >= 7 && b[4] == ':' && digits(b[:1]) && digits(b[2:4]) && digits(b[5:7])
}

// isSeconds: 1366250528.495 as squid writes it, or [    5.123456] as the kernel does.
func isSeconds(before, after []byte) bool {
	if len(after) < 3 || !digits(after[:3]) {
		return false
	}
	if kernel, ok := bytes.CutPrefix(before, []byte("[")); ok {
		return digits(bytes.TrimLeft(kernel, " "))
	}
	return len(before) == 10 && digits(before)
}

func digits(b []byte) bool { return len(b) > 0 && len(bytes.Trim(b, "0123456789")) == 0 }
