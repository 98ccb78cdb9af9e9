package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/trace"
)

// output is a file that a flag names.
type output struct {
	flag, path string
	appended   bool // what is in it stays
}

// distinct refuses outputs that would overwrite each other, or what is read.
func distinct(outputs []output, inputs []string) error {
	for i, a := range outputs {
		for _, b := range outputs[:i] {
			if a.path == b.path && a.path != os.DevNull || sameFile(a.path, b.path) {
				return &usageError{fmt.Errorf("%s and %s both write to %s", b.flag, a.flag, describe(a.path)),
					"give each a file of its own"}
			}
		}
		for _, input := range inputs {
			if isInput(a.path, input) {
				return &usageError{fmt.Errorf("%s %s is also an input, by %s", a.flag, a.path, input),
					"write it elsewhere, or move it away first"}
			}
		}
	}
	return nil
}

func describe(path string) string {
	if path == "-" {
		return "standard output"
	}
	return path
}

// sameFile compares where paths lead; files that are not there yet by the place
// where they would be. Devices and pipes may be written by many.
func sameFile(a, b string) bool {
	if a == "-" || b == "-" {
		return false
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
	}
	return errA != nil && errB != nil && place(a) == place(b)
}

// place is the absolute path with the links of its folder followed.
func place(path string) string {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return absolute
	}
	return filepath.Join(dir, filepath.Base(absolute))
}

// isInput says whether reading input would read the file at path.
func isInput(path, input string) bool {
	info, err := os.Stat(path)
	return path != "-" && err == nil && info.Mode().IsRegular() && paths.Leads(input, info)
}

// writable finds early what would fail only after everything was read.
func writable(outputs []output) error {
	for _, o := range outputs {
		if o.path == "-" {
			continue
		}
		if info, err := os.Stat(o.path); err == nil && info.IsDir() {
			return fmt.Errorf("cannot write %s: it is a directory (%s)", o.path, o.flag)
		}
		dir := cmp.Or(export.Directory(o.path), ".")
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("cannot write %s: there is no directory %s (%s)", o.path,
				cmp.Or(strings.TrimRight(dir, "/"), "/"), o.flag)
		}
		if !o.appended {
			if err := export.CanCreate(o.path); err != nil {
				return fmt.Errorf("%w (%s)", err, o.flag)
			}
		}
	}
	return nil
}

// create opens an output, and says so where it cannot be replaced in one go.
func (p *program) create(path string) (*export.File, error) {
	f, err := export.Create(path, p.out)
	if err == nil && f.InPlace != nil {
		reason := f.InPlace
		if path := (*fs.PathError)(nil); errors.As(reason, &path) {
			reason = path.Err
		}
		p.message(fmt.Sprintf("%s is written in place, for no new file can take its place (%v): what was in it is "+
			"gone even if this fails", path, reason))
	}
	return f, err
}

// write makes an output in one go.
func (p *program) write(path string, fill func(io.Writer) error) error {
	f, err := p.create(path)
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		f.Discard()
		return err
	}
	return f.Close()
}

func (p *program) writeSummary(path string, l *replay.Ledger) error {
	return p.write(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(l)
	})
}

// complaints is the --errors file: opened when it is needed, since what lies in
// a folder that is read must not grow while it is.
type complaints struct {
	*program
	path string
	file *export.File
	line []byte
}

func (c *complaints) open() (err error) {
	if c.file == nil {
		c.file, err = c.create(c.path)
	}
	return err
}

func (c *complaints) add(complaint *trace.Complaint) error {
	if err := c.open(); err != nil {
		return err
	}
	c.line = export.AppendComplaint(c.line[:0], complaint)
	_, err := c.file.Write(c.line)
	return err
}

// close puts the file in its place, an empty one if there was nothing to say.
func (c *complaints) close() error {
	if err := c.open(); err != nil {
		return err
	}
	return c.file.Close()
}

func (c *complaints) discard() {
	if c.file != nil {
		c.file.Discard()
	}
}
