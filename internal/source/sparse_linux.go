package source

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"syscall"

	"github.com/tomoscrape/tomoscrape/internal/sparse"
)

// Of lseek(2).
const (
	seekData = 3
	seekHole = 4
)

// holes reads the file without its holes if it may have any, which is so if it has
// fewer blocks than its size needs.
func (d *disk) holes(info fs.FileInfo) *sparse.Reader {
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Blocks*512 >= info.Size() {
		return nil
	}
	return sparse.New(d, d.nextPart)
}

// nextPart finds the next part with data. Behind the last one, and where no such
// thing can be asked for, all is read as it is; the file may grow, too.
func (d *disk) nextPart(from int64) (sparse.Extent, error) {
	begin, end := from, int64(math.MaxInt64)
	if d.verified.copy != nil || !d.stands() {
		return sparse.Extent{At: begin, Size: end - begin}, nil // Read says what became of the file
	}
	size, err := d.f.Seek(0, io.SeekEnd) // what comes later is not passed over
	if err != nil {
		return sparse.Extent{}, err
	}
	switch data, err := d.f.Seek(from, seekData); {
	case err == nil:
		begin = data
		if hole, err := d.f.Seek(begin, seekHole); err == nil && hole > begin {
			end = hole
		}
	case errors.Is(err, syscall.ENXIO):
		begin = max(from, size)
	}
	if hole := begin - from; hole > 0 {
		d.verified.at += hole
		d.verified.seam = lastBytes(d.verified.seam, make([]byte, min(hole, seamLen)))
		d.count(hole)
	}
	_, err = d.f.Seek(begin, io.SeekStart)
	return sparse.Extent{At: begin, Size: end - begin}, err
}
