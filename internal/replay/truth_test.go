package replay

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// The sample logs come with their truth: what the library's Span objects held
// when they were logged (testdata/truth/samples.jsonl, see testdata/README.md).
// Every whole span must be equal to it in every field, and of a damaged one
// just that must be there which stands whole.

const logs = "../../testdata/logs"

// truthRow is a line of samples.jsonl.
type truthRow struct {
	Kind        string          `json:"kind"`
	Folder      string          `json:"folder"`
	TraceID     json.Number     `json:"trace_id"`
	ParentID    *json.Number    `json:"parent_id"`
	ID          json.Number     `json:"id"`
	Name        json.RawMessage `json:"name"`
	Notes       []truthNote     `json:"notes"`
	Dimensions  []truthTag      `json:"dimensions"` // nil where the era has none
	Recoverable string          `json:"recoverable"`
	Mark        string          `json:"mark"`
	Files       []truthFile     `json:"files"`
	File        string          `json:"file"` // of a mention
}

type truthFile struct {
	File    string       `json:"file"`
	Line    int64        `json:"line"`
	State   string       `json:"state"`
	Salvage truthSalvage `json:"salvage"`
}

type truthSalvage struct {
	Name       json.RawMessage `json:"name"`
	Notes      int             `json:"notes"`
	Dimensions int             `json:"dimensions"`
}

type truthNote struct {
	Time     *int64          `json:"time_us"`
	Value    json.RawMessage `json:"value"`
	Service  json.RawMessage `json:"service_name"`
	Address  json.RawMessage `json:"address"`
	Port     json.RawMessage `json:"port"`
	Duration json.RawMessage `json:"duration"` // nil before E3
}

type truthTag struct {
	Key     json.RawMessage `json:"key"`
	Value   json.RawMessage `json:"value"`
	Service json.RawMessage `json:"service_name"`
	Address json.RawMessage `json:"address"`
	Port    json.RawMessage `json:"port"`
}

func readTruth(t testing.TB, name string, each func(line []byte)) {
	f, err := os.Open("../../testdata/truth/" + name)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		each(lines.Bytes())
	}
	require.NoError(t, lines.Err())
}

// truthValue makes a value of {"str": …}, {"int": …}, … or of plain JSON.
func truthValue(t testing.TB, raw json.RawMessage) trace.Value {
	if raw == nil {
		return trace.Value{}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	require.NoError(t, decoder.Decode(&v))
	switch v := v.(type) {
	case nil:
		return trace.Value{Kind: trace.None}
	case string:
		return trace.Value{Kind: trace.String, Text: v}
	case bool:
		return trace.Value{Kind: trace.Bool, Text: map[bool]string{true: "True", false: "False"}[v]}
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return trace.Value{Kind: trace.Float, Text: v.String()}
		}
		return trace.Value{Kind: trace.Int, Text: v.String()}
	case map[string]any:
		for kind, x := range v {
			text := fmt.Sprint(x)
			switch kind {
			case "str", "unicode":
				return trace.Value{Kind: trace.String, Text: text}
			case "bytes":
				b, err := hex.DecodeString(text)
				require.NoError(t, err)
				return trace.Value{Kind: trace.String, Text: meantBytes(b)}
			case "int":
				return trace.Value{Kind: trace.Int, Text: text}
			case "float":
				return trace.Value{Kind: trace.Float, Text: text}
			case "bool":
				return trace.Value{Kind: trace.Bool, Text: map[string]string{"true": "True", "false": "False"}[text]}
			case "none":
				return trace.Value{Kind: trace.None}
			case "other":
				return trace.Value{Kind: trace.Repr, Text: text}
			}
		}
	}
	t.Fatalf("unknown truth %s", raw)
	return trace.Value{}
}

// meantBytes is how a byte string that is no UTF-8 reads: each run that is none
// is U+FFFD, but bytes that Python 3 would escape are characters.
func meantBytes(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	characters := true
	for _, c := range b {
		characters = characters && (c <= 0xa0 || c == 0xad)
	}
	if characters {
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func truthText(t testing.TB, raw json.RawMessage) trace.Text {
	if v := truthValue(t, raw); v.Kind == trace.String {
		return trace.NewText(v.Text)
	}
	return trace.Text{}
}

func requireValue(t testing.TB, want, got trace.Value, where string) {
	if want.Kind == trace.Float && got.Kind == trace.Float && want.Text != got.Text { // 1e16 is 1e+16
		w, ok := new(big.Rat).SetString(want.Text)
		g, ok2 := new(big.Rat).SetString(got.Text)
		require.True(t, ok && ok2 && w.Cmp(g) == 0, "%s: %v, not %v", where, got, want)
		return
	}
	require.Equal(t, want, got, where)
}

func requireText(t testing.TB, want json.RawMessage, got trace.Text, where string) {
	require.Equal(t, truthText(t, want), got, where)
}

// requireSpan compares a span with its truth: all of it, or so many notes and
// dimensions.
func requireSpan(t testing.TB, row *truthRow, s *trace.Span, name json.RawMessage, notes, dimensions int, where string) {
	require.Equal(t, row.ParentID != nil, s.HasParent, where)
	if row.ParentID != nil {
		require.Equal(t, row.ParentID.String(), s.ParentID.Decimal(), where)
	}
	requireText(t, name, s.Name, where)
	require.Len(t, s.Notes, notes, where)
	for i, n := range s.Notes {
		want, where := row.Notes[i], fmt.Sprintf("%s note %d", where, i)
		if want.Time != nil {
			require.Equal(t, *want.Time, n.Time, where)
		}
		require.Equal(t, want.Time != nil, n.HasTime, where)
		requireValue(t, truthValue(t, want.Value), n.Value, where)
		requireText(t, want.Service, n.Service, where)
		requireText(t, want.Address, n.Address, where)
		requireValue(t, truthValue(t, want.Port), n.Port, where)
		requireValue(t, truthValue(t, want.Duration), n.Duration, where)
		require.Empty(t, n.Extra, where)
	}
	require.Len(t, s.Dimensions, dimensions, where)
	for i, d := range s.Dimensions {
		want, where := row.Dimensions[i], fmt.Sprintf("%s dimension %d", where, i)
		requireText(t, want.Key, d.Key, where)
		requireValue(t, truthValue(t, want.Value), d.Value, where)
		requireText(t, want.Service, d.Service, where)
		requireText(t, want.Address, d.Address, where)
		requireValue(t, truthValue(t, want.Port), d.Port, where)
		require.Empty(t, d.Extra, where)
	}
	require.Empty(t, s.Extra, where)
}

func samples(t testing.TB) (folders map[string][]*truthRow, mentions map[string]int64) {
	folders, mentions = map[string][]*truthRow{}, map[string]int64{}
	readTruth(t, "samples.jsonl", func(line []byte) {
		row := &truthRow{}
		require.NoError(t, json.Unmarshal(line, row))
		if row.Kind == "mention" {
			folder, _, _ := strings.Cut(row.File, "/")
			mentions[folder]++
			return
		}
		folders[row.Folder] = append(folders[row.Folder], row)
	})
	return folders, mentions
}

func TestSamplesEqualTheirTruth(t *testing.T) {
	folders, mentions := samples(t)
	require.Equal(t, 18, len(folders))
	for folder, rows := range folders {
		t.Run(folder, func(t *testing.T) {
			result, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, folder)}})
			require.NoError(t, err)
			spans := map[string][]*trace.Node{}
			count := 0
			for _, tr := range all(t, result) {
				for j := range tr.Spans {
					s := &tr.Spans[j]
					spans[s.TraceID.Decimal()+" "+s.ID.Decimal()] = append(spans[s.TraceID.Decimal()+" "+s.ID.Decimal()], s)
					count++
				}
			}
			checked := 0
			for _, row := range rows {
				where := fmt.Sprintf("%s %s in %s:%d", row.TraceID, row.ID, row.Files[0].File, row.Files[0].Line)
				if row.Recoverable == "none" {
					require.Empty(t, spans[row.TraceID.String()+" "+row.ID.String()], where)
					continue
				}
				got := spans[row.TraceID.String()+" "+row.ID.String()]
				require.NotEmpty(t, got, where)
				s := got[0]
				if len(got) > 1 { // twins: the one that was read where the truth says
					require.Equal(t, "twins", row.Mark, where)
					for _, twin := range got {
						if twin.Origin[0].Line == row.Files[0].Line {
							s = twin
						}
					}
				}
				requireOrigins(t, row, &s.Span, where)
				checked++
				if row.Recoverable == "whole" {
					require.Zero(t, s.Damage&trace.Truncated, where)
					require.Equal(t, row.Dimensions == nil, s.Dimensions == nil, where)
					requireSpan(t, row, &s.Span, row.Name, len(row.Notes), len(row.Dimensions), where)
					continue
				}
				require.NotZero(t, s.Damage&trace.Truncated, where)
				best := row.Files[0].Salvage // the fullest copy
				for _, f := range row.Files {
					if f.Salvage.Notes+f.Salvage.Dimensions > best.Notes+best.Dimensions {
						best = f.Salvage
					}
				}
				requireSpan(t, row, &s.Span, best.Name, best.Notes, best.Dimensions, where)
			}
			require.Equal(t, checked, count, "none is invented")
			require.Equal(t, mentions[folder], ledger(t, result).Mentions)
			requireBalance(t, ledger(t, result))
		})
	}
}

// requireOrigins checks that a span names every place where it was logged.
func requireOrigins(t testing.TB, row *truthRow, s *trace.Span, where string) {
	var want, got []string
	for _, f := range row.Files {
		if f.State != "lost" {
			want = append(want, fmt.Sprintf("%s:%d", filepath.Join(logs, f.File), f.Line))
		}
	}
	for _, o := range s.Origin {
		got = append(got, fmt.Sprintf("%s:%d", o.File, o.Line))
	}
	require.ElementsMatch(t, want, got, where)
}

func requireBalance(t testing.TB, l *Ledger) {
	require.Equal(t, l.SpanLines, l.Parsed+l.Salvaged+l.Rejected)
	require.Equal(t, l.Parsed+l.Salvaged, l.Spans+l.Duplicates)
	require.Equal(t, l.Traces, l.Complete+l.Incomplete)
	require.LessOrEqual(t, l.Selected, l.Traces)
}

// The logs of a real OpenStack against what a second backend of the library
// dumped at the same time.
func TestRealOpenStackEqualsItsTruth(t *testing.T) {
	result, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, "real-openstack")}})
	require.NoError(t, err)
	got := map[string]*trace.Node{}
	services := 0
	for _, tr := range all(t, result) {
		for j := range tr.Spans {
			s := &tr.Spans[j]
			got[s.ID.Decimal()] = s
			for _, o := range s.Origin {
				if o.RequestID != "" {
					services++
					break
				}
			}
		}
	}
	rows := 0
	readTruth(t, "real-openstack.jsonl", func(line []byte) {
		var row struct {
			Span struct {
				truthRow
				Notes []struct {
					truthNote
					Seconds json.Number `json:"time"`
				} `json:"notes"`
			} `json:"span"`
		}
		require.NoError(t, json.Unmarshal(line, &row))
		rows++
		truth := row.Span.truthRow
		truth.Notes = nil
		for _, n := range row.Span.Notes {
			exact, ok := new(big.Rat).SetString(n.Seconds.String())
			require.True(t, ok)
			us := roundHalfEven(exact.Mul(exact, big.NewRat(1_000_000, 1)))
			n.Time = &us
			truth.Notes = append(truth.Notes, n.truthNote)
		}
		s := got[truth.ID.String()]
		require.NotNil(t, s, truth.ID)
		require.Equal(t, truth.TraceID.String(), s.TraceID.Decimal())
		requireSpan(t, &truth, &s.Span, truth.Name, len(truth.Notes), len(truth.Dimensions), truth.ID.String())
	})
	require.Equal(t, 396, rows)
	require.Len(t, got, 396)
	require.Equal(t, 388, services, "spans whose line carried a request id")
	l := ledger(t, result)
	requireBalance(t, l)
	require.EqualValues(t, 525, l.Parsed)
	require.EqualValues(t, 129, l.Duplicates)
	require.EqualValues(t, 208, l.Traces)
	require.Zero(t, l.Salvaged+l.Rejected)
	require.Empty(t, l.Unreadable)
}

func roundHalfEven(r *big.Rat) int64 {
	floor := new(big.Int).Div(r.Num(), r.Denom())
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor.Int64()
}
