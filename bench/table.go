package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// Results are all that a run of the benchmarks found; its JSON form is kept.
type Results struct {
	Date         string            `json:"date"`
	Commit       string            `json:"commit"`
	Seconds      int               `json:"seconds"` // it took
	Machine      Machine           `json:"machine"`
	Peers        map[string]string `json:"peers"` // their versions
	Settings     settings          `json:"settings"`
	Truth        Truth             `json:"truth"` // of the log for the comparisons
	Rows         []Row             `json:"rows"`
	Growth       []Growth          `json:"growth"`
	Notes        []string          `json:"notes"`
	Runs         Runs              `json:"runs"`
	GoBenchmarks string            `json:"-"` // kept beside
	Benchstat    string            `json:"-"`
}

// Row is one line of the table.
type Row struct {
	Work  string  `json:"work"`
	Ours  string  `json:"ours"`
	Peer  string  `json:"peer"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Must  float64 `json:"must"` // 0: no target
	Goal  float64 `json:"goal"`
	More  bool    `json:"more"` // the targets are the least, not the most
}

// Growth is what one size takes.
type Growth struct {
	Size    string  `json:"size"`
	Bytes   int64   `json:"bytes"`
	Spilled bool    `json:"spilled"` // it did not fit in memory
	Wall    float64 `json:"wall"`
	CPU     float64 `json:"cpu"`
	Peak    float64 `json:"peak"`
	RgWall  float64 `json:"rg_wall"`  // 0 without rg
	Time10  float64 `json:"time_10x"` // the growth of the time since the size above, for ten times the bytes
	Peak10  float64 `json:"peak_10x"` // and that of the memory
}

func (r *Results) add(row Row) { r.Rows = append(r.Rows, row) }

func (r *Results) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// compare adds a row: what ours takes divided by what the peer takes.
func (r *Results) compare(what string, of func(Runs, string) (float64, bool), ours, peer string, must, goal float64) {
	a, ran := of(r.Runs, ours)
	b, peerRan := of(r.Runs, peer)
	if !ran || !peerRan {
		r.note("%s is not measured: %s is missing", what, peer)
		return
	}
	r.add(Row{Work: what, Ours: seconds(a), Peer: seconds(b), Value: a / b, Unit: "x", Must: must, Goal: goal})
}

// faster adds a row: how many times faster than the peer ours is.
func (r *Results) faster(what, peer, ours string, must, goal float64) {
	a, ran := r.Runs.wall(ours)
	b, peerRan := r.Runs.wall(peer)
	if !ran || !peerRan {
		r.note("%s is not measured: %s is missing", what, peer)
		return
	}
	r.add(Row{Work: what, Ours: seconds(a), Peer: seconds(b), Value: b / a, Unit: "x", Must: must, Goal: goal,
		More: true})
}

// grow makes the table of growth, and a row for each step: of sizes within memory
// first, then of those beyond.
func (r *Results) grow(within, beyond []*data) {
	for i, d := range slices.Concat(within, beyond) {
		g := Growth{Size: d.size, Bytes: d.truth.Bytes, Spilled: i >= len(within)}
		g.Wall, _ = r.Runs.wall("tomoscrape " + d.size)
		g.CPU, _ = r.Runs.cpu("tomoscrape " + d.size)
		g.Peak, _ = r.Runs.peak("tomoscrape " + d.size)
		g.RgWall, _ = r.Runs.wall("rg " + d.size)
		if i > 0 {
			below := r.Growth[i-1]
			tenfold := float64(below.Bytes) / float64(g.Bytes) * 10
			g.Time10, g.Peak10 = g.Wall/below.Wall*tenfold, g.Peak/below.Peak*tenfold
			row := Row{Work: "growth of time from " + below.Size + " to " + g.Size + ", for 10 x",
				Ours: seconds(g.Wall), Peer: seconds(below.Wall),
				Value: g.Time10, Unit: "x", Must: 10.5, Goal: 10.1}
			if g.Spilled && !below.Spilled { // 2.5 and 1.5 for each byte
				row.Work, row.Must, row.Goal = row.Work+", spilling", 25, 15
			}
			r.add(row)
		}
		r.Growth = append(r.Growth, g)
	}
}

// verdict says how a row stands to its targets.
func (r Row) verdict() string {
	reached := func(target float64) bool {
		if r.More {
			return r.Value >= target
		}
		return r.Value <= target
	}
	switch {
	case r.Must == 0:
		return ""
	case reached(r.Goal):
		return "goal"
	case reached(r.Must):
		return "must"
	}
	return "MISSED"
}

func (r Row) target(n float64) string {
	if r.Must == 0 {
		return "-"
	}
	sign := "<="
	if r.More {
		sign = ">="
	}
	return fmt.Sprintf("%s %g", sign, n)
}

// table is what a person reads.
func (r *Results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tomoscrape %s, %s, %d runs of each, interleaved; medians; %d min %d s in all\n",
		r.Commit, r.Date, r.Settings.Runs, r.Seconds/60, r.Seconds%60)
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d cores, %s memory; %s; %s; load before %s, after %s\n", m.CPU, m.Cores, m.Memory, m.Kernel,
		m.Go, m.LoadBefore, m.LoadAfter)
	for _, name := range sorted(r.Peers) {
		fmt.Fprintf(&b, "%s: %s\n", name, r.Peers[name])
	}
	t := r.Truth
	fmt.Fprintf(&b, "%s: %d lines, %d of them with a span (%d MB of span text), %d spans in %d traces\n\n",
		r.Settings.Size, t.Lines, t.SpanLines, t.SpanBytes/1e6, t.Spans, t.Traces)
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "work\ttomoscrape\tpeer\tmeasured\tmust\tgoal\treached")
	for _, row := range r.Rows {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s %s\t%s\t%s\t%s\n", row.Work, row.Ours, row.Peer, digits(row.Value), row.Unit,
			row.target(row.Must), row.target(row.Goal), row.verdict())
	}
	tab.Flush()
	fmt.Fprintln(&b)
	fmt.Fprintln(tab, "growth\ttime\tMB/s\tCPU\tpeak memory\trg\ttime for 10 x\tmemory for 10 x")
	for _, g := range r.Growth {
		fmt.Fprintf(tab, "%s\t%s\t%.0f\t%s\t%s\t%s\t%s\t%s\n", g.Size, seconds(g.Wall), float64(g.Bytes)/1e6/g.Wall,
			seconds(g.CPU),
			mebibytes(g.Peak), seconds(g.RgWall), times(g.Time10), times(g.Peak10))
	}
	tab.Flush()
	fmt.Fprintln(&b)
	fmt.Fprintln(tab, "runs\tn\ttime\tfastest\tslowest\tCPU\tpeak memory")
	for _, name := range sorted(r.Runs) {
		wall, _ := r.Runs.wall(name)
		cpu, _ := r.Runs.cpu(name)
		peak, _ := r.Runs.peak(name)
		byWall := slices.SortedFunc(slices.Values(r.Runs[name]),
			func(a, b Run) int { return int(1e9 * (a.Wall - b.Wall)) })
		fmt.Fprintf(tab, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", name, len(byWall), seconds(wall), seconds(byWall[0].Wall),
			seconds(byWall[len(byWall)-1].Wall), seconds(cpu), mebibytes(peak))
	}
	tab.Flush()
	fmt.Fprintln(&b)
	for _, note := range r.Notes {
		fmt.Fprintln(&b, "note:", note)
	}
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil {
		fmt.Fprintf(&b, "note: peak memory below %s may be the benchmark's own, which its children begin with\n",
			mebibytes(float64(peak(&own))))
	}
	if r.Benchstat != "" {
		fmt.Fprintf(&b, "\n%s\n", r.Benchstat)
	}
	return b.String()
}

// write prints the table and keeps it with the raw results.
func (r *Results) write(dir, day string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	table := r.table()
	for suffix, text := range map[string]string{".json": string(raw) + "\n", ".txt": table, ".go.txt": r.GoBenchmarks} {
		if err := os.WriteFile(filepath.Join(dir, day+suffix), []byte(text), 0o644); err != nil {
			return err
		}
	}
	_, err = fmt.Print(table)
	return err
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// digits is a number with three digits, or all of those before the point.
func digits(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f s", s)
}

func mebibytes(n float64) string { return fmt.Sprintf("%.0f MiB", n/(1<<20)) }

func times(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f x", x)
}
