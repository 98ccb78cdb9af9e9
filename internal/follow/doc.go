// Package follow follows live logs and loses nothing of them: through rotations
// of all kinds, restarts, crashes and outages of what it delivers to.
//
// The words. A file is a device and inode. A generation is the content of one
// file between two truncations; it is known by device and inode while its file is
// open, and wherever its content goes by its fingerprint (fingerprint.go): its head, the
// first 1,024 bytes, and samples, as many before sizes that it had, since services may
// begin every file with the same banner. A family is a log with its rotated files: a stream of
// generations. Names tell the order of X, X.1, X.2.gz, X-20260101; what is missing of
// a log is found under any name by device and inode, or by its fingerprint (stray.go).
//
//	           a new file, or one that was truncated
//	                            │
//	                            ▼       renamed, deleted, written to late:
//	grew after all  ┌─────> following ──┐ stays so, the file is open
//	                │        │  ▲  │ ▲──┘
//	                │        │  │  │
//	rotated, read,  │        │  │  │ truncated, or not where it was after a restart
//	quiet for 5 s   │        │  │  ▼
//	             finished <──┘ orphaned ──> finished, with an error line and a
//	                │               │       count: lost, nobody has its content
//	                │               └─ a copy or a packed file has its head
//	                ▼
//	             sealed: its file is gone, or packed and read to its end
//	                │
//	                ▼
//	            forgotten, when no file of the family has its head
//
// Two goroutines share the work, so that a consumer that blocks costs no file:
//
//	watcher: look ── scan (discover.go, scan.go): what files are there, and whose content is in them
//	   │      └───── fstat of every generation, 20 ms if it grows, else 250 ms (generation.go)
//	   ▼ ready
//	reader: pick ── read a block, or take nxadm/tail's lines (read.go, grow.go)
//	         verify: the file is large enough, its fingerprint unchanged, else the block is thrown away
//	         take(Block) ── InFlight … Done (ack.go) ── checkpoint, once a second (keep.go, checkpoint.go)
//
// A link may lead to another log than when the checkpoint was written: the former
// one, with what it was rotated into, is then read to its end and let go.
//
// Rotated remains are read by the block reader, too; packed ones first to their
// end, to see that they are whole, then from where the generation ended (stream.go).
//
// A last line without an end, of a file that was rotated, is handed out when nobody
// has the file open for writing (the system refuses a read lease else; where that
// cannot be known, time decides) and it was quiet for Options.Idle. The mark stays
// before it, with the line as an acknowledged range: should it go on, also after a
// restart, it is handed out again as a whole.
//
// Where NULs come behind what was read, they may be written over in place: a byte of
// them is looked at again and again (inplace.go). Where there are more logs than files
// that may be open, those that were read rest, closed, until a listing says that they
// changed (descriptors.go).
//
// What is handed out counts as acknowledged when take returns, but for what is
// held. The checkpoint moves only over what is acknowledged: what was on disk is
// handed out at least once, and again after a crash only as far as it was not
// acknowledged, or acknowledged since the last checkpoint, at most a second before.
//
// A rotation may call its files as it likes. While something of a log is missing, its
// directory, those in it and beside it and where its file was last are listed, and files
// that no path leads to are read for what is missing and for nothing else. Of a head
// alone, when less than 1,024 bytes of a log were ever seen, only the one file that begins
// so is taken. Where two rotations fell into one pause, nobody has seen the beginning of
// the second file: it is the log's if it is called as one that was found, but for number
// or date, and was written after it or since the last run. Where names do not tell what follows what, a record
// that straddles two files is not joined.
//
// Limits. Between the copy and the truncation of copytruncate lines can be lost
// that nobody could read; each truncation is counted. Files of a family that begin
// with the same banner can be confused if hardly more than the banner of one was
// seen before it was rotated. A log that is edited in place, or cut, is read again
// from its beginning or from where it is known to be the same. nxadm/tail ends the
// process when fstat of an open file fails with EIO or ESTALE. It is used only for
// a few files that are read nearly to their end and grow by little, and its file is
// closed under it when one grows by more, since it keeps a line of any length in
// memory; it can be turned off (Options.Tails).
package follow
