package parser

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// This file takes the frames off lines: what docker, CRI, the journal and syslog
// put around the text a service wrote.

// frameKind is a kind of frame.
type frameKind uint8

const (
	unframed    frameKind = iota
	docker                // {"log":"…\n","stream":"stdout","time":"…"}
	cri                   // TIME stdout P|F TEXT
	journalJSON           // {"MESSAGE":…,"_HOSTNAME":…}
	syslog                // Mon dd hh:mm:ss HOST IDENT[PID]: TEXT, also journalctl -o short
)

// frame is a line without its frame.
type frame struct {
	kind      frameKind
	stream    string // lines of one stream belong together: docker's and CRI's stream, a host and ident[pid]
	text      []byte // borrowed from the line, or decoded from it
	at        int    // offset in the line of the text, or of the JSON literal that holds it
	literal   []byte // the JSON literal the text was decoded from, nil if the text stands in the line
	array     bool   // the text was an array of bytes
	host      string
	pid       int64
	time      int64  // microseconds, 0 if the frame has no absolute time
	logger    string // the journal's LOGGER_NAME
	width     int    // of the frame in front of the text, for a journal's continuation lines
	more      bool   // the text goes on in the next line of the stream (docker, CRI, the journal's _LINE_BREAK)
	cut       bool   // the JSON of the line is cut or torn
	end       int    // offset in the line behind the JSON, 0 if there is none or it is cut
	continues bool   // the text goes on with a message, in a line of its own
	lost      string // why the text is not there at all (the journal's null)
}

// unframe takes the frame off a line.
func unframe(line []byte) frame {
	if len(line) == 0 {
		return frame{}
	}
	switch c := line[0]; {
	case c == '{':
		return unframeJSON(line)
	case c >= '0' && c <= '9' || c == '<' || c >= 'A' && c <= 'Z':
		if f, ok := unframeCRI(line); ok {
			return f
		}
		if f, ok := unframeSyslog(line); ok {
			return f
		}
	}
	return frame{text: line}
}

// unframeCRI reads TIME stdout|stderr P|F TEXT.
func unframeCRI(line []byte) (frame, bool) {
	if len(line) <= 10 || line[10] != 'T' {
		return frame{}, false
	}
	n := timeEnd(line)
	stream := criStream(line, n)
	at := n + len(stream) + 1
	if stream == "" || at > len(line) {
		return frame{}, false
	}
	tag := line[at-1]
	if at < len(line) && line[at] == ':' { // more tags, as in F:x
		at += wordEnd(line[at:])
	}
	if tag != 'P' && tag != 'F' || at < len(line) && line[at] != ' ' {
		return frame{}, false
	}
	at = min(at+1, len(line))
	return frame{kind: cri, stream: strings.TrimSpace(stream), text: line[at:], at: at, time: absoluteTime(line[:n]),
		more: tag == 'P'}, true
}

// criStream is the stream that stands, between blanks, behind the n bytes of the
// time that a line begins with; "" if none does.
func criStream(line []byte, n int) string {
	for _, stream := range [...]string{" stdout ", " stderr "} {
		if n > 0 && bytes.HasPrefix(line[n:], []byte(stream)) {
			return stream
		}
	}
	return ""
}

// unframeSyslog reads the two stamps of syslog daemons and journalctl -o short:
//
//	<PRI>Apr 18 02:02:08 HOST IDENT[PID]: TEXT
//	2013-07-10T09:00:00.5+02:00 HOST IDENT: TEXT
//
// IDENT is missing where the daemon took the date of the line for it.
func unframeSyslog(line []byte) (frame, bool) {
	f := frame{kind: syslog}
	i, absolute := 0, false
	if line[0] == '<' {
		n := digitsEnd(line[1:])
		if n == 0 || n > 3 || len(line) < n+3 || line[n+1] != '>' {
			return frame{}, false
		}
		i = n + 2
	}
	n := stampEnd(line[i:])
	if n == 0 {
		if len(line) <= i+10 || line[i+10] != 'T' {
			return frame{}, false
		}
		if n = timeEnd(line[i:]); n < 20 {
			return frame{}, false
		}
		f.time, absolute = absoluteTime(line[i:i+n]), true
	}
	i += n
	if i >= len(line) || line[i] != ' ' {
		return frame{}, false
	}
	i++
	n = wordEnd(line[i:])
	host := line[i : i+n]
	if n == 0 || n > 255 || i+n == len(line) || levelEnd(host) == n || absolute && digitsEnd(host) == n ||
		bytes.ContainsAny(host, "[](){}\"'") {
		return frame{}, false
	}
	f.host = string(host)
	i += n + 1
	f.stream = f.host
	if n = identEnd(line[i:]); n > 0 {
		ident := line[i : i+n-2]
		f.stream += " " + string(ident)
		if open := bytes.IndexByte(ident, '['); open > 0 {
			f.pid, _ = strconv.ParseInt(string(ident[open+1:len(ident)-1]), 10, 64)
		}
		i += n
	} else if n := wordEnd(line[i:]); n < len(line)-i && isServiceName(line[i:i+n]) && levelEnd(line[i:]) == 0 {
		// a service's name without the colon
		if rest := line[i+n+1:]; timeEnd(rest) > 0 || levelEnd(rest[skipBlank(rest, 0):]) > 0 ||
			bytes.HasPrefix(rest, []byte(spanMarker+"trace_id=")) {
			f.stream += " " + string(line[i:i+n])
			i += n + 1
		}
	}
	f.text, f.at, f.width = line[i:], i, i
	return f, true
}

// isServiceName says whether a word may be a program's name: nova-compute.
func isServiceName(word []byte) bool {
	for _, c := range word {
		if !isWord(c) && c != '-' && c != '.' && c != '/' && c != '@' {
			return false
		}
	}
	return len(word) > 0 && timeEnd(append(word[:len(word):len(word)], " 00:00:00"...)) == 0
}

// identEnd returns the length of the IDENT[PID]: and the blank behind it that
// text begins with, 0 if there is none.
func identEnd(text []byte) int {
	n := wordEnd(text)
	if n < 2 || n > 255 || n == len(text) || text[n-1] != ':' {
		return 0
	}
	ident := text[:n-1]
	if open := bytes.IndexByte(ident, '['); open >= 0 {
		pid := ident[open+1:]
		if open == 0 || len(pid) < 2 || pid[len(pid)-1] != ']' || digitsEnd(pid) != len(pid)-1 {
			return 0
		}
	} else if bytes.IndexByte(ident, ':') >= 0 || bytes.IndexByte(ident, '(') >= 0 {
		return 0
	}
	return n + 1
}

// stampEnd returns the length of syslog's traditional stamp (Apr 18 02:02:08, with
// a fraction as journalctl -o short-precise prints it), 0 if there is none.
func stampEnd(text []byte) int {
	const form = "Jan _2 15:04:05"
	if len(text) < len(form) || text[3] != ' ' || text[6] != ' ' || text[9] != ':' || text[12] != ':' {
		return 0
	}
	if _, err := time.Parse(form, string(text[:len(form)])); err != nil {
		if string(text[:3]) != "Feb" || string(text[4:6]) != "29" { // the year is not known
			return 0
		}
	}
	n := len(form)
	if n < len(text) && text[n] == '.' {
		n += 1 + digitsEnd(text[n+1:])
	}
	return n
}

// absoluteTime reads a time with a zone, in microseconds; 0 if it has none.
func absoluteTime(text []byte) int64 {
	for _, form := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(form, string(text)); err == nil {
			return t.UnixMicro()
		}
	}
	return 0
}

// unframeJSON reads docker's json-file and journalctl -o json. Any other object
// is left as it is: it is what a service wrote.
func unframeJSON(line []byte) frame {
	var f frame
	var log, message, stream, stamp jsonMember
	var lineBreak, ident string
	end := jsonMembers(line, func(m jsonMember) {
		switch m.key {
		case "log":
			log = m
		case "stream":
			stream = m
		case "time":
			stamp = m
		case "MESSAGE":
			message = m
		case "_HOSTNAME":
			f.host, _ = jsonString(m.value)
		case "SYSLOG_IDENTIFIER":
			ident, _ = jsonString(m.value)
		case "_PID":
			pid, _ := jsonString(m.value)
			f.pid, _ = strconv.ParseInt(pid, 10, 64)
		case "LOGGER_NAME":
			f.logger, _ = jsonString(m.value)
		case "_LINE_BREAK":
			lineBreak, _ = jsonString(m.value)
		case "__REALTIME_TIMESTAMP":
			us, _ := jsonString(m.value)
			f.time, _ = strconv.ParseInt(us, 10, 64)
		}
	})
	f.cut = end < 0
	switch {
	case message.value != nil:
		f.kind = journalJSON
		f.stream = f.host + " " + ident + "[" + strconv.FormatInt(f.pid, 10) + "]"
		f.more = lineBreak == "line-max"
		f.journalMessage(message)
	case log.value != nil && log.value[0] == '"' && (stream.value != nil || stamp.value != nil || f.cut):
		f.kind = docker
		f.stream, _ = jsonString(stream.value)
		if stamp.value != nil {
			t, _ := jsonString(stamp.value)
			f.time = absoluteTime([]byte(t))
		}
		f.decode(log)
		if !f.cut {
			f.more = !bytes.HasSuffix(f.text, []byte("\n"))
			f.text = bytes.TrimSuffix(f.text, []byte("\n"))
		}
	default:
		return frame{text: line}
	}
	f.end = max(0, end)
	return f
}

// decode makes the text of a JSON string.
func (f *frame) decode(m jsonMember) {
	text, escapes := jsonString(m.value)
	f.text, f.at = []byte(text), m.at
	if escapes {
		f.literal = m.value
	} else {
		f.at++ // behind the quote
	}
}

// journalMessage reads MESSAGE: text, an array of bytes (or of several messages,
// which are taken as lines of one), or null where journalctl left it out.
func (f *frame) journalMessage(m jsonMember) {
	f.at = m.at
	switch m.value[0] {
	case '"':
		f.decode(m)
	case '[':
		f.array = true
		jsonElements(m.value, func(value []byte, _ int) {
			if value[0] == '"' {
				text, _ := jsonString(value)
				if len(f.text) > 0 {
					f.text = append(f.text, '\n')
				}
				f.text = append(f.text, text...)
				return
			}
			if n, err := strconv.ParseUint(string(value), 10, 8); err == nil {
				f.text = append(f.text, byte(n))
			}
		})
	default:
		f.lost = "the journal's MESSAGE is " + quoted(m.value) +
			" here: read it again with journalctl -a, which prints long messages, too"
	}
}

// tornFrame returns where in a line, behind its beginning, a JSON object with a
// frame or of JSONFormatter begins, -1 if none does.
func tornFrame(line []byte) int {
	for at, n := 0, 0; n < maxTornObjects; n++ {
		i := bytes.Index(line[at+1:], []byte(`{"`))
		if i < 0 {
			break
		}
		at += 1 + i
		if unframeJSON(line[at:]).kind != unframed {
			return at
		}
		if o := readLogObject(line[at:]); o.known && o.name != nil {
			return at
		}
	}
	return -1
}
