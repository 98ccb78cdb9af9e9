package unpack

import (
	"bytes"
	"encoding/binary"
)

// The lengths of records; times in them have 32 bits, or 64 as on arm64, in the order
// of the machine's bytes: on s390x the other one.
const (
	utmpLen, utmpLen64 = 384, 400
	namesLen           = 32 + 256 // of a lastlog record, behind its time

	earliestLogin = 946684800 // 2000-01-01, in seconds

	utmpRecords    = "logins (utmp records)"
	lastlogRecords = "last logins (lastlog records)"
)

// isUtmp tells whether data begins with a record of a login (utmp(5)), as wtmp
// and btmp hold them: a type, a process, the terminal, 20 bytes that are unused.
func isUtmp(b []byte) bool {
	return len(b) >= utmpLen && (isUtmpOf(b, le) || isUtmpOf(b, be))
}

func isUtmpOf(b []byte, order binary.ByteOrder) bool {
	if kind := order.Uint16(b); kind < 1 || kind > 9 || !allZero(b[2:4]) {
		return false
	}
	if !isName(b[8:40]) && !allZero(b[8:40]) {
		return false
	}
	if allZero(b[364:utmpLen]) && order.Uint32(b[340:]) >= earliestLogin && order.Uint32(b[344:]) < 1e6 {
		return true
	}
	seconds := order.Uint64(b[344:])
	return len(b) >= utmpLen64 && allZero(b[376:utmpLen64]) && seconds >= earliestLogin && seconds < 1<<32
}

// loginRecords names what holds the last or the failed login of each user, by the
// first bytes that are no NUL, since most users have none; "" if it is neither.
func loginRecords(first []byte) string {
	// What the first record begins with may be a number whose first bytes are 0.
	for lead := range 5 {
		b := append(make([]byte, lead), first...)
		switch {
		case lead < 2 && isUtmp(b):
			return utmpRecords
		case lead != 3 && isLastlog(b) && !printable(first[:4-lead%4]):
			return lastlogRecords
		case isFaillog(b):
			return "failed logins (faillog records)"
		}
	}
	if isTallylog(first) {
		return "failed logins (tallylog records)"
	}
	return ""
}

// isLastlog: a time, a terminal of 32 bytes, a host of 256 (lastlog.h).
func isLastlog(b []byte) bool {
	for _, width := range []int{4, 8} {
		if len(b) < width+namesLen || !isLoginTime(b[:width]) {
			continue
		}
		if terminal, host := b[width:width+32], b[width+32:width+namesLen]; isName(terminal) &&
			(isName(host) || allZero(host)) {
			return true
		}
	}
	return false
}

// isLoginTime: of four bytes or eight. It has a byte that no text has, lest a line
// before many NULs be taken for one.
func isLoginTime(b []byte) bool {
	switch low, high := b[:4], b[len(b)-4:]; {
	case len(b) > 4 && allZero(low):
		b = high
	case len(b) > 4 && !allZero(high):
		return false
	}
	return !printable(b[:4]) && max(le.Uint32(b), be.Uint32(b)) >= earliestLogin
}

// isFaillog: two counts, a terminal of 12 bytes, a time of eight (faillog(5)).
func isFaillog(b []byte) bool {
	return len(b) >= 32 && b[1] == 0 && b[3] == 0 && isName(b[4:16]) &&
		le.Uint64(b[16:]) >= earliestLogin && allZero(b[21:24])
}

// isTallylog: a terminal or host of 52 bytes, two numbers, a time of eight
// (pam_tally2(8)).
func isTallylog(b []byte) bool {
	return len(b) >= 64 && isName(b[:52]) && allZero(b[52:54]) && le.Uint64(b[56:]) >= earliestLogin &&
		allZero(b[61:64])
}

// isName: a terminal's or a host's name with NULs behind it, at least one.
func isName(field []byte) bool {
	name := bytes.TrimRight(field, "\x00")
	if len(name) == 0 || len(name) == len(field) {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
