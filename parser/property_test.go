package parser

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

const plainHeader = "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] "

// read feeds lines to a Reader and gives all it finds, without origins.
func read(t testing.TB, lines ...string) (spans []trace.Span, complaints []trace.Complaint, counts Counts) {
	results, counts := readResults(t, lines...)
	for _, r := range results {
		if r.HasSpan {
			r.Span.Origin = nil
			spans = append(spans, r.Span)
		}
		if r.Complaint != nil {
			complaints = append(complaints, *r.Complaint)
		}
	}
	return spans, complaints, counts
}

// clone is a result that can be kept.
func (r Result) clone() Result {
	r.Span = r.Span.Clone()
	r.Places = slices.Clone(r.Places)
	if r.Complaint != nil {
		c := *r.Complaint
		c.Text = bytes.Clone(c.Text[:min(len(c.Text), 4096)])
		r.Complaint = &c
	}
	return r
}

func readResults(t testing.TB, lines ...string) (results []Result, counts Counts) {
	r := NewReader("nova.log", Options{}, Output{
		Record: func(r *Result) {
			results = append(results, r.clone())
		},
		Lost: func(at Place, reason string) {
			t.Helper()
			results = append(results, Result{Places: []Place{at}, Complaint: &trace.Complaint{Kind: "lost", Line: at.Line, Reason: reason}})
		},
	})
	offset := int64(0)
	for i, line := range lines {
		buffer := []byte(line) // of its own, and scribbled over: a Reader must not keep it
		r.Feed(Line{Text: buffer, Number: int64(i + 1), Offset: offset})
		for j := range buffer {
			buffer[j] = 'X'
		}
		offset += int64(len(line)) + 1
	}
	r.Flush()
	_, holding := r.Pending()
	require.False(t, holding, "nothing is held after Flush")
	return results, r.Counts
}

// What Python prints is read back equal, in every era and by every Python.
func TestReadsBackWhatPythonPrints(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := genPython().Draw(rt, "python")
		s := p.genSpan().Draw(rt, "span")
		line := plainHeader + p.span(&s)
		spans, complaints, counts := read(t, line)
		require.Empty(t, complaints, line)
		require.Equal(t, Counts{Lines: 1, Parsed: 1}, counts)
		require.Equal(t, []trace.Span{s}, spans, line)
	})
}

// A line cut anywhere gives what stands whole before the cut, and nothing else.
func TestCutAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := genPython().Draw(rt, "python")
		s := p.genSpan().Draw(rt, "span")
		text := p.span(&s)
		line := plainHeader + text
		cut := rapid.IntRange(len(plainHeader)+len("Span("), len(line)-1).Draw(rt, "cut")
		checkCut(t, &s, line[:cut])
	})
}

func checkCut(t testing.TB, whole *trace.Span, line string) {
	spans, complaints, counts := read(t, line)
	require.Len(t, complaints, 1, line)
	c := complaints[0]
	require.NotEmpty(t, c.Reason)
	require.LessOrEqual(t, c.Column, len(line)+1)
	text := line[len(plainHeader):]
	idAt := strings.Index(text, ", id=")
	idsWhole := idAt >= 0 && strings.Contains(text[idAt+5:], ",")
	if !idsWhole {
		require.Empty(t, spans, line)
		require.Equal(t, trace.Rejected, c.Kind)
		require.EqualValues(t, 1, counts.Rejected)
		return
	}
	require.Equal(t, trace.Salvaged, c.Kind)
	require.EqualValues(t, 1, counts.Salvaged)
	require.Len(t, spans, 1)
	got := spans[0]
	require.Equal(t, trace.Truncated, got.Damage)
	require.Equal(t, whole.TraceID, got.TraceID)
	require.Equal(t, whole.ID, got.ID)
	require.Equal(t, whole.ParentID, got.ParentID)
	require.Equal(t, whole.HasParent, got.HasParent)
	if got.Name.Set {
		require.Equal(t, whole.Name, got.Name)
	}
	require.LessOrEqual(t, len(got.Notes), len(whole.Notes))
	for i := range got.Notes {
		require.Equal(t, whole.Notes[i], got.Notes[i], line)
	}
	require.LessOrEqual(t, len(got.Dimensions), len(whole.Dimensions))
	for i := range got.Dimensions {
		require.Equal(t, whole.Dimensions[i], got.Dimensions[i])
	}
}

// Every note and dimension whose closing parenthesis stands before the cut is
// there.
func TestCutAtEveryByte(t *testing.T) {
	for _, text := range []string{
		`Span(trace_id=12, parent_id=3, id=45, name='WSGI', notes=[Note(time=1.5, value='start', service_name='s', address='h', port=80, duration=0), Note(time=2.5, value='stop', service_name='s', address='h', port=80, duration=0)], dimensions=[Tag(key='k', value=1, service_name='s', address='h', port=80)])`,
		`Span(trace_id=12, parent_id=None, id=45, name='x', notes=[Note(time=1.5, value=<it's at 0x1>, service_name='s', address='h', port=80), Note(time=2.5, value={'a': [1]}, service_name='s', address='h', port=80)])`,
	} {
		whole, _, _ := read(t, plainHeader+text)
		require.Len(t, whole, 1)
		for cut := len("Span("); cut < len(text); cut++ {
			line := plainHeader + text[:cut]
			checkCut(t, &whole[0], line)
			spans, _, _ := read(t, line)
			if len(spans) == 0 {
				continue
			}
			notes := strings.Count(text[:cut], "port=80)") + strings.Count(text[:cut], "duration=0)")
			tags := strings.Count(text[:cut], "port=80)") * strings.Count(text[:cut], "dimensions")
			require.Len(t, spans[0].Notes, notes-tags, line)
			require.Len(t, spans[0].Dimensions, tags, line)
			require.Equal(t, strings.Contains(text[:cut], whole[0].Name.String+"'"), spans[0].Name.Set, line)
		}
	}
}

// A value with unbalanced quotes and brackets has an end only where the whole
// record can be read; in a cut one nobody can tell, and nothing is guessed.
func TestUnbalancedValue(t *testing.T) {
	text := plainHeader + `Span(trace_id=1, parent_id=None, id=2, name='x', notes=[Note(time=1.5, value=<a ' ( [ at 0x1>, service_name='s', address='h', port=80), Note(time=2.5, value='stop', service_name='s', address='h', port=80)])`
	spans, complaints, _ := read(t, text)
	require.Empty(t, complaints)
	require.Equal(t, trace.Value{Kind: trace.Repr, Text: "<a ' ( [ at 0x1>"}, spans[0].Notes[0].Value)
	require.Len(t, spans[0].Notes, 2)
	spans, complaints, _ = read(t, text[:len(text)-1])
	require.Len(t, complaints, 1)
	require.Empty(t, spans[0].Notes)
}

// Times are the decimal text rounded half to even, as exact arithmetic has it.
func TestMicrosecondsAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?`).Draw(rt, "number")
		exact, ok := new(big.Rat).SetString(number)
		require.True(t, ok)
		exact.Mul(exact, big.NewRat(1_000_000, 1))
		want, fits := roundHalfEven(exact)
		got, ok := microseconds([]byte(number))
		require.Equal(t, fits, ok, number)
		if fits {
			require.Equal(t, want, got, number)
		}
	})
}

func roundHalfEven(r *big.Rat) (int64, bool) {
	twice := new(big.Rat).Mul(r, big.NewRat(2, 1))
	floor := new(big.Int).Div(r.Num(), r.Denom()) // towards minus infinity
	middle := new(big.Rat).SetInt(new(big.Int).Add(new(big.Int).Lsh(floor, 1), big.NewInt(1)))
	if c := twice.Cmp(middle); c > 0 || c == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor.Int64(), floor.IsInt64()
}

func TestMicroseconds(t *testing.T) {
	for number, want := range map[string]int64{
		"1366250528.495435": 1366250528495435, "1351879451.5000426": 1351879451500043, "1351879453.1650415": 1351879453165042,
		"0.0000005": 0, "0.0000015": 2, "0.0000025": 2, "0.00000250000000000001": 3, "1384168289": 1384168289000000,
		"12L": 12000000, "-0.0": 0, "-1.5": -1500000, "1e-05": 10, "1.384168289117092e+09": 1384168289117092,
		"9223372036854.775807": 9223372036854775807, "-9223372036854.775808": -9223372036854775808,
	} {
		got, ok := microseconds([]byte(number))
		require.True(t, ok, number)
		require.Equal(t, want, got, number)
	}
	for _, number := range []string{"nan", "inf", "-inf", "1e300", "9223372036854.775808", "1e99999999999", strings.Repeat("9", 400)} {
		_, ok := microseconds([]byte(number))
		require.False(t, ok, number)
	}
}

// What a string literal means.
func TestStrings(t *testing.T) {
	for _, c := range []struct {
		literal, want string
		invalid       bool
	}{
		{`'x'`, "x", false},
		{`"it's"`, "it's", false},
		{`'it\'s "both"'`, `it's "both"`, false},
		{`'caf\xc3\xa9'`, "café", false},                     // bytes that are UTF-8
		{`'café'`, "café", false},                            // Python 3
		{`'caf\xe9'`, "caf\uFFFD", true},                     // bytes that are not
		{`'snow \xff\xfe!\xff'`, "snow \uFFFD!\uFFFD", true}, // one for a run
		{`'a\xa0b'`, "a\u00a0b", false},                      // Python 3's no-break space
		{`'a\x80\xad'`, "a\u0080\u00ad", false},              //
		{`'é\xa0\u200b'`, "é\u00a0\u200b", false},            // code points, one being beyond ASCII
		{`'\u4e2d\xe9'`, "中é", false},                        // code points, because of the \u
		{`u'caf\xe9'`, "café", false},                        //
		{`u'\ud83d\ude00'`, "😀", false},                      // a surrogate pair
		{`u'\U0001f600'`, "😀", false},                        //
		{`'\udcff\udcfe x'`, "\uFFFD x", true},               // unpaired surrogates
		{`b'caf\xc3\xa9'`, "café", false},                    //
		{`b'\xa0'`, "\uFFFD", true},                          // bytes are never code points
		{`b'\u0041'`, `\u0041`, false},                       // nor have they \u
		{`'\x00\x1b[0m\x7f\t\r\n\\'`, "\x00\x1b[0m\x7f\t\r\n\\", false},
		{`'\q \101'`, `\q A`, false},
		{"'raw \xe9\xe9 x'", "raw \uFFFD x", true},
		{"u'raw \xe9\\xe9'", "raw \uFFFDé", true},
		{`''`, "", false},
	} {
		size, ok := stringEnd([]byte(c.literal + ", x"))
		require.True(t, ok, c.literal)
		require.Equal(t, len(c.literal), size, c.literal)
		got, invalid, bad := literalString([]byte(c.literal))
		require.Equal(t, -1, bad, c.literal)
		require.Equal(t, c.want, got, c.literal)
		require.Equal(t, c.invalid, invalid, c.literal)
	}
	for literal, at := range map[string]int{`'a\x4'`: 2, `'\u12'`: 1, `u'\U00110000'`: 2, `'\xzz'`: 1} {
		_, _, bad := literalString([]byte(literal))
		require.Equal(t, at, bad, literal)
	}
	for _, open := range []string{`'`, `'a`, `'a\'`, `"a'`, `u'x\\\'`} {
		size, ok := stringEnd([]byte(open))
		require.True(t, ok)
		require.Equal(t, -1, size, open)
	}
}

func TestIDs(t *testing.T) {
	for _, c := range []struct{ decimal, hex string }{
		{"5731049070570866", "00145c5bd80aad72"}, {"0", "0000000000000000"}, {"12L", "000000000000000c"},
		{"-1", "ffffffffffffffff"}, {"18446744073709551616", "00000000000000010000000000000000"},
		{"340282366920938463463374607431768211456", "100000000000000000000000000000000"},
	} {
		spans, _, _ := read(t, fmt.Sprintf("%sSpan(trace_id=%s, parent_id=None, id=1, name='x', notes=[])", plainHeader, c.decimal))
		require.Len(t, spans, 1, c.decimal)
		require.Equal(t, c.hex, spans[0].TraceID.Hex())
		require.Equal(t, strings.TrimSuffix(c.decimal, "L"), spans[0].TraceID.Decimal())
	}
	for _, bad := range []string{"'1'", "None", "1.5", "True", "0x12", "01", "", strings.Repeat("9", trace.MaxIDDigits+1)} {
		spans, complaints, _ := read(t, fmt.Sprintf("%sSpan(trace_id=%s, parent_id=None, id=1, name='x', notes=[])", plainHeader, bad))
		require.Empty(t, spans, bad)
		require.Len(t, complaints, 1, bad)
	}
}

// The scanner's short way with times gives what exact arithmetic gives.
func TestScannedTimes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.StringMatching(`[1-9][0-9]{8,10}\.[0-9]{1,9}`).Draw(rt, "number")
		want, _ := microseconds([]byte(number))
		s := newScanner()
		_, ok := s.scan([]byte("Span(trace_id=1, parent_id=None, id=2, name='x', notes=[Note(time="+number+
			", value=1, service_name='s', address='h', port=1)])"), Options{})
		require.True(t, ok)
		require.Equal(t, want, s.span.Notes[0].Time, number)
	})
}
