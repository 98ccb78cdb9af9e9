package follow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/smallfile"
)

const (
	checkpointVersion = 1
	maxCheckpoint     = 256 << 20 // bytes of a file that is read as one
)

// saved is the form of a checkpoint.
type saved struct {
	Version int `json:"version"`
	// Paths are those that were followed: what lies under them is not new.
	Paths       []string          `json:"paths"`
	Next        uint64            `json:"next_generation"`
	Generations []savedGeneration `json:"generations"`

	written time.Time // when it was
}

// savedGeneration is what is kept of one generation.
type savedGeneration struct {
	ID         uint64        `json:"generation"`
	Log        string        `json:"log"` // name of the family
	Path       string        `json:"path,omitempty"`
	Root       string        `json:"root,omitempty"` // which of the paths led to it
	Device     uint64        `json:"device,omitempty"`
	Inode      uint64        `json:"inode,omitempty"`
	HeadLength int           `json:"head_length"`
	HeadSHA256 string        `json:"head_sha256"`
	HeadWeak   bool          `json:"head_weak,omitempty"`
	Samples    []savedSample `json:"seams,omitempty"`   // the last two
	Mark       int64         `json:"mark"`              // all before it is acknowledged
	Lines      int64         `json:"lines"`             // before the mark; -1 if they were not counted
	Ranges     [][2]int64    `json:"ranges,omitempty"`  // acknowledged above the mark, from and up to
	End        int64         `json:"end"`               // what was read of it
	State      string        `json:"state"`             // following, orphaned or finished
	Orphaned   time.Time     `json:"orphaned,omitzero"` // since when its content is looked for
	Unseen     bool          `json:"unseen,omitempty"`  // and it may have been written to while nothing followed it
	Sealed     bool          `json:"sealed,omitempty"`  // nobody can write to it any more
}

// check finds what no checkpoint of ours holds.
func (s *saved) check() error {
	if s.Version != checkpointVersion {
		return fmt.Errorf("it has version %d, and this program knows version %d", s.Version, checkpointVersion)
	}
	ids := make(map[uint64]bool, len(s.Generations))
	for i := range s.Generations {
		g := &s.Generations[i]
		sum, err := hex.DecodeString(g.HeadSHA256)
		_, known := stateNamed(g.State)
		bad := ""
		switch {
		case g.ID == 0 || g.ID >= s.Next || ids[g.ID]:
			bad = "generation"
		case g.Log == "":
			bad = "log"
		case g.HeadLength < 0 || g.HeadLength > headSize:
			bad = "head_length"
		case err != nil || len(sum) != sha256.Size:
			bad = "head_sha256"
		case !g.samplesOK():
			bad = "seams"
		case g.Mark < 0 || g.End < g.Mark:
			bad = "mark"
		case g.Lines < -1:
			bad = "lines"
		case len(g.Ranges) > maxRanges:
			bad = "ranges"
		case !known:
			bad = "state"
		}
		at := g.Mark
		for _, r := range g.Ranges {
			if r[0] < at || r[1] <= r[0] {
				bad = "ranges"
			}
			at = r[1]
		}
		if bad != "" {
			return fmt.Errorf("entry %d of generations has a wrong %s", i+1, bad)
		}
		ids[g.ID] = true
	}
	return nil
}

// savedSample is what is kept of the 1,024 bytes that end at a place.
type savedSample struct {
	End    int64  `json:"end"`
	SHA256 string `json:"sha256"`
}

func (g *savedGeneration) samplesOK() bool {
	at := int64(headSize)
	for _, s := range g.Samples {
		if sum, err := hex.DecodeString(s.SHA256); err != nil || len(sum) != sha256.Size || s.End <= at {
			return false
		}
		at = s.End
	}
	return true
}

// checkpoint is the file in which what was acknowledged is kept. One process has
// it at a time.
type checkpoint struct {
	path string
	lock *os.File // PATH.lock: it stays when PATH is replaced

	// fault, if not nil, is asked before each step of writing (tests).
	fault func(step string) error
}

// openCheckpoint takes the lock and reads the file; nil if there is none yet, or
// if it is not to be looked at. Errors are for people.
func openCheckpoint(path string, reset bool) (*checkpoint, *saved, error) {
	c := &checkpoint{path: path}
	if err := c.acquire(); err != nil {
		return nil, nil, err
	}
	if reset {
		return c, nil, nil
	}
	s, err := c.read()
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return c, s, nil
}

func (c *checkpoint) acquire() error {
	name := c.path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("the checkpoint cannot be used: %w; its directory must exist and be writable", err)
	}
	switch err := lock(f); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return fmt.Errorf("checkpoint %s is in use by another process; each needs a --checkpoint of its own", c.path)
	case err != nil:
		f.Close()
		return fmt.Errorf("checkpoint lock %s: %w", name, err)
	}
	c.lock = f
	return nil
}

func (c *checkpoint) read() (*saved, error) {
	f, err := os.OpenFile(c.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCheckpoint+1))
	if err != nil {
		return nil, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if len(data) > maxCheckpoint {
		return nil, fmt.Errorf("the checkpoint cannot be read: %w", &fs.PathError{Op: "read", Path: c.path,
			Err: smallfile.TooLongError(maxCheckpoint)})
	}
	s := &saved{}
	if info, err := f.Stat(); err == nil {
		s.written = info.ModTime()
	}
	if err = json.Unmarshal(data, s); err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no checkpoint that can be used: %w; name the right file, or start anew with "+
			"--reset-checkpoint, "+
			"which reads as on a first start (--from end: from now on; --from start: all there is, what was "+
			"delivered before is repeated)", c.path, err)
	}
	return s, nil
}

// write replaces the file: at any moment, also after a crash, it is the old one
// or the new one.
func (c *checkpoint) write(s *saved) (err error) {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := c.path + ".tmp" // only the holder of the lock writes it
	step := func(name string, do func() error) {
		if err == nil && c.fault != nil {
			err = c.fault(name)
		}
		if err == nil {
			err = do()
		}
	}
	var f *os.File
	step("create", func() (err error) {
		if err = syscall.Unlink(temp); err == nil || errors.Is(err, fs.ErrNotExist) { // a crash may have left one
			f, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			return err
		}
		return &os.PathError{Op: "remove", Path: temp, Err: err}
	})
	step("write", func() error { _, err := f.Write(append(data, '\n')); return err })
	step("sync", func() error { return f.Sync() })
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	step("rename", func() error { return os.Rename(temp, c.path) })
	step("sync directory", func() error { return syncDirectory(filepath.Dir(c.path)) })
	if err != nil {
		return fmt.Errorf("the checkpoint cannot be written: %w; until it can, a crash repeats what was delivered since", err)
	}
	return nil
}

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (c *checkpoint) close() {
	if c.lock != nil {
		unlock(c.lock) // also what a child of this process has inherited and not closed yet
		c.lock.Close()
		c.lock = nil
	}
}
