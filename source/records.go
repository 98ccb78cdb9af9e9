package source

import "bytes"

const (
	utmpLen    = 384 // of a record; where a time has 64 bits in it, as on arm64, 400
	lastlogLen = 292

	earliestLogin = 946684800 // 2000-01-01, in seconds

	utmpRecords    = "logins (utmp records)"
	lastlogRecords = "last logins (lastlog records)"
)

// isUtmp tells whether data begins with a record of a login (utmp(5)), as wtmp
// and btmp hold them: a type, a process, the terminal, 20 bytes that are unused.
func isUtmp(b []byte) bool {
	if len(b) < utmpLen || b[0] < 1 || b[0] > 9 || !allZero(b[1:4]) {
		return false
	}
	if !isName(b[8:40]) && !allZero(b[8:40]) {
		return false
	}
	if allZero(b[364:384]) && le.Uint32(b[340:]) >= earliestLogin && le.Uint32(b[344:]) < 1e6 {
		return true
	}
	return len(b) >= 400 && allZero(b[376:400]) && le.Uint32(b[344:]) >= earliestLogin && allZero(b[348:352])
}

// loginRecords names what holds the last or the failed login of each user, by the
// first bytes that are no NUL, since most users have none; "" if it is neither.
func loginRecords(first []byte) string {
	if isUtmp(first) {
		return utmpRecords
	}
	// What the first record begins with may be a number whose first bytes are 0.
	for lead := range 5 {
		b := append(make([]byte, lead), first...)
		switch {
		case lead < 3 && isLastlog(b) && !printable(first[:4-lead]):
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

// isLastlog: a time, a terminal of 32 bytes, a host of 256 (lastlog.h). The time
// has a byte that no text has, lest a line before many NULs be taken for one.
func isLastlog(b []byte) bool {
	return len(b) >= lastlogLen && le.Uint32(b) >= earliestLogin && !printable(b[:4]) && isName(b[4:36]) &&
		(isName(b[36:lastlogLen]) || allZero(b[36:lastlogLen]))
}

// isFaillog: two counts, a terminal of 12 bytes, a time of eight (faillog(5)).
func isFaillog(b []byte) bool {
	return len(b) >= 32 && b[1] == 0 && b[3] == 0 && isName(b[4:16]) &&
		le.Uint64(b[16:]) >= earliestLogin && allZero(b[21:24])
}

// isTallylog: a terminal or host of 52 bytes, two numbers, a time of eight
// (pam_tally2(8)).
func isTallylog(b []byte) bool {
	return len(b) >= 64 && isName(b[:52]) && allZero(b[52:54]) && le.Uint64(b[56:]) >= earliestLogin && allZero(b[61:64])
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
