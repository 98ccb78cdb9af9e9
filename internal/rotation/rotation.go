// Package rotation says which files are one log, by the names that rotation gives
// them: X.2.gz, X.1 and X, or X-20260101.gz and X.
package rotation

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// packedSuffix is no part of a log's name: rotation compresses what it has
// renamed.
var packedSuffix = regexp.MustCompile(`([^/!])\.(?:gz|bz2|xz|zst|Z)$`)

// rotatedSuffix is what rotation adds to the name of a log: a number (logrotate,
// docker), or a date with or without a time (logrotate's dateext, Python's
// TimedRotatingFileHandler, kubelet). logrotate's .backup is what a service wrote
// to a file that it made itself before logrotate's create could.
var rotatedSuffix = regexp.MustCompile(`[^/!]((?:\.(\d{1,5})|[.-](` +
	`(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])` + // a day
	`(?:[-_T]?[0-2]\d(?:[-_:]?[0-5]\d(?:[-_:]?[0-5]\d)?)?|-\d{9,10})?` + // a time, or seconds since 1970
	`(?:\.backup)?` +
	`)))$`)

// File is the place of a file in the rotation of its log. That of the zero value
// is nowhere.
type File struct {
	Log    string // the name of the log that is written to: X for X.1, X.2.gz and X-20260101
	date   string // its digits, if the name has a date
	number int    // -1 if the name has none
	length int    // of the name, which is longer if the file is packed
}

// Of reads a name, which may have directories, and archives before "!".
func Of(name string) File {
	r := File{Log: packedSuffix.ReplaceAllString(name, "$1"), number: -1, length: len(name)}
	if m := rotatedSuffix.FindStringSubmatchIndex(r.Log); m != nil {
		if m[4] >= 0 {
			r.number, _ = strconv.Atoi(r.Log[m[4]:m[5]]) // of at most five digits
		} else {
			r.date = strings.Map(onlyDigits, r.Log[m[6]:m[7]])
		}
		r.Log = r.Log[:m[2]]
	}
	return r
}

func onlyDigits(c rune) rune {
	if '0' <= c && c <= '9' {
		return c
	}
	return -1
}

// Compare orders the files of one log, oldest first: dates in their order, then
// numbers, the highest first, then the log that is written to.
func Compare(a, b File) int {
	return cmp.Or(
		cmp.Compare(a.age(), b.age()),
		cmp.Compare(a.date, b.date),
		cmp.Compare(b.number, a.number),
		cmp.Compare(b.length, a.length),
	)
}

// Continues says whether a log that ends in the file before goes on in this one:
// they are neighbours in one rotation, as far as names tell.
func (r File) Continues(before File) bool {
	switch {
	case r.Log == "" || r.Log != before.Log:
		return false
	case r.date != "" && before.date != "":
		return r.date > before.date && (len(r.date) > len("20060102") || nextDay(before.date) == r.date)
	case r.date != "" || before.date != "":
		return before.date != "" && r.number < 0
	}
	return before.number-max(r.number, 0) == 1 // X counts as 0
}

// nextDay is the day behind a day, as digits.
func nextDay(day string) string {
	t, err := time.Parse("20060102", day)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, 1).Format("20060102")
}

func (r File) age() int {
	switch {
	case r.date != "":
		return 0
	case r.number >= 0:
		return 1
	}
	return 2
}

// Sort sorts what holds slash-separated names: by name as if each file
// had that of its log, directories before what lies in them, and the files
// of a log oldest first.
func Sort[T any](list []T, about func(T) (name string, isDir bool)) {
	type entry struct {
		File
		key string
		it  T
	}
	entries := make([]entry, len(list))
	for i, it := range list {
		name, isDir := about(it)
		r := File{Log: name, number: -1}
		if !isDir {
			r = Of(name)
		}
		key := strings.ReplaceAll(r.Log, "/", "\x00")
		if name == "." {
			key = ""
		}
		entries[i] = entry{r, key, it}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), Compare(a.File, b.File))
	})
	for i, e := range entries {
		list[i] = e.it
	}
}
