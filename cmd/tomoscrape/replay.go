package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/internal/smallfile"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

func (p *program) replay() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "replay PATH...",
		Short: "Read to the end, assemble, deliver the traces, exit",
		Long: `replay reads to the end, assembles the traces, sorted by start, and delivers the
chosen ones: as JSON, one trace a line, to a file or standard output, and to
Zipkin. Without an output it writes JSON to standard output.`,
		Example: `  tomoscrape replay /var/log/nova /var/log/glance --zipkin http://localhost:9411
  tomoscrape replay sosreport.tar.xz --json traces.jsonl --summary summary.json
  journalctl -o json -a | tomoscrape replay - | jq .duration`,
		Args: inputs,
	}
	o.readFlags(c)
	o.assembleFlags(c)
	o.outputFlags(c)
	choose(c, &o.shiftTo, "shift-to", []string{"now"}, "Zipkin: move all times so that the last trace ends now")
	c.RunE = p.runs(o, task{outputs: o.outputs, prepare: prepareZipkin, present: deliver})
	return c
}

// outputFlags are those of the outputs.
func (o *options) outputFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.json, "json", "", "write the traces to `FILE`, one JSON document a line; - is standard output")
	f.StringVar(&o.zipkin, "zipkin", "", "deliver the spans to the Zipkin at `URL`, such as http://localhost:9411")
	o.receiver = zipkinhttp.ReceiverWords[0]
	choose(c, &o.receiver, "receiver", zipkinhttp.ReceiverWords,
		"what takes the spans at that address: found out, or Zipkin, Jaeger, OpenTelemetry (docs/receivers.md)")
	f.StringVar(&o.jaegerQuery, "jaeger-query", "",
		"the Jaeger where spans for another receiver end up, `URL` of its page (default port 16686 of the same host)")
	f.StringVar(&o.quarantine, "quarantine", "",
		"`FILE` for spans that Zipkin cannot take (default "+export.DefaultQuarantine+")")
	f.StringVar(&o.hosts, "hosts", "", "Zipkin: IP addresses of host names, a `FILE` like /etc/hosts")
	o.splitServices = "auto"
	choose(c, &o.splitServices, "split-services", []string{"auto", "on", "off"},
		"Zipkin: a span for each service of a span; auto is on for Zipkin itself, off for others")
	f.BoolVar(&o.compact, "compact", false, "Zipkin: without the notes start and stop where the duration says the same")
	f.BoolVar(&o.noInfer, "no-infer", false, "Zipkin: nothing concluded from names and texts (kind, database, error)")
	f.Var(&number{&o.maxValue, 0}, "max-value", "Zipkin: cut values to so many bytes, 0 for never")
	a := &o.zipkinAccess
	f.StringVar(&a.CA, "zipkin-ca", "", "Zipkin: trust the authorities in this PEM `FILE`, in place of this machine's")
	f.StringVar(&a.Cert, "zipkin-cert", "", "Zipkin: show the certificate in this PEM `FILE`")
	f.StringVar(&a.Key, "zipkin-key", "", "Zipkin: `FILE` with the key of that certificate (default the same file)")
	f.StringVar(&a.AuthFile, "zipkin-auth-file", "",
		"Zipkin: `FILE` with NAME:PASSWORD or Bearer TOKEN (default $"+zipkinhttp.AuthVariable+")")
	f.BoolVar(&o.verify, "verify", false, "Zipkin: read back what it took, and say what is missing")
}

// zipkinFlags mean nothing without --zipkin.
var zipkinFlags = []string{"receiver", "jaeger-query", "quarantine", "shift-to", "hosts", "split-services", "compact",
	"no-infer", "max-value",
	"zipkin-ca", "zipkin-cert", "zipkin-key", "zipkin-auth-file", "verify"}

// outputs are the files that replay writes.
func (o *options) outputs() []output {
	var all []output
	if o.json == "" && o.zipkin == "" {
		o.json = "-"
	}
	if o.json != "" {
		all = append(all, output{flag: "--json", path: o.json})
	}
	if o.zipkin != "" && o.quarantine != "" {
		all = append(all, output{flag: "--quarantine", path: o.quarantine, appended: true})
	}
	return all
}

// prepareZipkin checks the flags about Zipkin.
func prepareZipkin(j *job) error {
	if j.zipkin == "" {
		for _, name := range zipkinFlags {
			if j.given[name] {
				return &usageError{fmt.Errorf("--%s is about delivery to Zipkin, and there is no --zipkin", name),
					"add --zipkin URL"}
			}
		}
		return nil
	}
	if _, err := zipkinhttp.ParseURL(j.zipkin); err != nil {
		return &usageError{err: err}
	}
	if j.quarantine == "-" {
		return &usageError{err: errors.New("--quarantine needs a file: standard output is for traces")}
	}
	if j.hosts != "" {
		hosts, err := readHosts(j.hosts)
		if err != nil {
			return &usageError{err: fmt.Errorf("--hosts %s: %w", j.hosts, err)}
		}
		j.hostAddresses = hosts
	}
	if address, err := url.Parse(j.zipkin); err == nil && address.User != nil && j.given["zipkin"] {
		j.message("what stands before the @ of --zipkin can be seen in the list of processes; $" +
			zipkinhttp.AuthVariable + " and --zipkin-auth-file keep it to themselves")
	}
	opt := j.zipkinOptions(0)
	opt.Warn = nil                // who delivers is told
	z, err := zipkinhttp.New(opt) // are certificates and credentials there?
	if err != nil {
		return &usageError{err: err}
	}
	return z.Close()
}

// maxHosts is the longest file of hosts that is read.
const maxHosts = 64 << 20

func readHosts(path string) (zipkin.Hosts, error) {
	text, err := smallfile.Read(path, maxHosts)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, pathErr.Err
	}
	if err != nil {
		return nil, err
	}
	return zipkin.ParseHosts(bytes.NewReader(text))
}

// deliver writes the traces to all outputs; one that fails does not keep the
// others from getting theirs.
func deliver(ctx context.Context, j *job, r *replay.Result) {
	if j.json != "" {
		terminal := j.json == "-" && j.view().Width > 0
		j.fail(j.write(j.json, func(w io.Writer) error { return export.JSON(w, r.Render, terminal) }))
	}
	if j.zipkin != "" {
		j.fail(j.deliverToZipkin(ctx, r.Traces()))
	}
}

// zipkinOptions are what the flags say; giveUp is as in [zipkinhttp.Options].
func (j *job) zipkinOptions(giveUp time.Duration) zipkinhttp.Options {
	opt := zipkinhttp.Options{URL: j.zipkin, Receiver: zipkinhttp.ParseReceiver(j.receiver), JaegerQuery: j.jaegerQuery,
		AlwaysSplit: j.splitServices == "on",
		Access:      j.zipkinAccess, Quarantine: j.quarantine, GiveUp: giveUp, Warn: j.message,
		Mapping: zipkin.Options{NoSplit: j.splitServices == "off", Compact: j.compact, NoInfer: j.noInfer,
			MaxValue: int(j.maxValue), Hosts: j.hostAddresses}}
	opt.Access.Auth = j.lookup(zipkinhttp.AuthVariable)
	if j.verify {
		opt.Remember = -1
	}
	return opt
}

func (j *job) deliverToZipkin(ctx context.Context, traces iter.Seq2[*trace.Trace, error]) error {
	opt := j.zipkinOptions(0)
	if j.shiftTo == "now" {
		var err error
		if opt.Mapping.Shift, err = zipkinhttp.ShiftToNow(traces, time.Now()); err != nil {
			return err
		}
	}
	z, err := zipkinhttp.New(opt)
	if err != nil {
		return err
	}
	rootless := &zipkinhttp.Rootless{}
	err = errors.Join(z.Send(ctx, zipkinhttp.Nodes(rootless.Of(traces)), nil), z.Close())
	report := z.Report()
	receiver := z.Receiver()
	fmt.Fprintf(j.err, "delivered to %s: %s\n", receiver, spans(report.Delivered))
	if err != nil && ctx.Err() == nil {
		all := int64(0)
		for range zipkinhttp.Nodes(traces) {
			all++
		}
		if rest := all - report.Delivered - report.Quarantined; rest > 0 {
			fmt.Fprintf(j.err, "not delivered: %s\n", spans(rest))
		}
	}
	if unfit := report.Quarantined - report.Refused; unfit > 0 {
		fmt.Fprintf(j.err, "without a form in Zipkin: %s, kept with the reason in %s\n", spans(unfit),
			safetext.Escape(report.QuarantineFile))
		j.partly()
	}
	if report.Refused > 0 {
		err = errors.Join(err, fmt.Errorf("refused by %s: %s, kept with its words in %s", receiver,
			spans(report.Refused), report.QuarantineFile))
	}
	var stored zipkinhttp.Verification
	if j.verify && err == nil {
		stored, err = j.readBack(ctx, z)
	}
	if stored.Traces == 0 || stored.Sample { // else the search covers them
		z.Cover(ctx, rootless)
	}
	search, ok := z.Search(ctx)
	switch {
	case !ok:
	case search.Page == "" && search.API == "" && receiver == zipkinhttp.ReceiverZipkin:
		fmt.Fprintln(j.err,
			"to be found where that Zipkin shows them: at this address are neither its page nor its API for reading")
	case search.Page == "" && search.API == "":
		fmt.Fprintln(j.err, "to be found wherever that shows them or passes them on to (--jaeger-query names a Jaeger)")
	default:
		if search.Page == "" {
			fmt.Fprintf(j.err, "to be found at %s (Zipkin's page is not at this address)\n",
				safetext.Escape(search.API))
		} else {
			fmt.Fprintf(j.err, "to be found at %s\n", safetext.Escape(search.Page))
		}
		if search.Old != "" && len(stored.Old) == 0 { // else it was said of those that are not found
			fmt.Fprintln(j.err, search.Old)
		}
	}
	return err
}

// verifyPatience is how long a server may take to store and index what it took.
var verifyPatience = 15 * time.Second // tests have less

// readBack says what Zipkin has of the spans that it took.
func (j *job) readBack(ctx context.Context, z *zipkinhttp.Client) (zipkinhttp.Verification, error) {
	v, err := z.Verify(ctx, verifyPatience)
	if err != nil {
		return v, err
	}
	for _, line := range v.Lines() {
		fmt.Fprintln(j.err, line)
	}
	if !v.OK() {
		return v, fmt.Errorf("spans that %s took are not there", z.Receiver())
	}
	return v, nil
}

// spans is a number of spans.
func spans(n int64) string {
	if n == 1 {
		return "1 span"
	}
	return fmt.Sprintf("%d spans", n)
}
