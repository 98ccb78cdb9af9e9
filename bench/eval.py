#!/usr/bin/env python3
"""Traces out of a log the straightforward way: every span line is evaluated.

    eval.py LOG OUT

writes one trace a line as JSON, sorted by start, with ids, parents, names, notes
and dimensions. It is what tomoscrape's speed is compared with, so it stays plain:
no tricks, and none of tomoscrape's care for damaged or hostile lines.
"""
import json
import re
import sys
from collections import namedtuple

Span = namedtuple("Span", "trace_id parent_id id name notes dimensions")
Note = namedtuple("Note", "time value service_name address port duration")
Tag = namedtuple("Tag", "key value service_name address port")

SPAN = re.compile(r"tomograph\.backends\.log (?:\[[^\]]*\] )?(Span\(.*\))$")
NAMES = {"Span": Span, "Note": Note, "Tag": Tag}


def read(log):
    traces = {}
    with open(log, errors="replace") as lines:
        for line in lines:
            match = SPAN.search(line)
            if match:
                span = eval(match[1], NAMES)
                traces.setdefault(span.trace_id, {})[span.id] = span
    return traces


def document(trace_id, spans):
    times = [note.time for span in spans for note in span.notes]
    rows = []
    for span in spans:
        row = {"id": f"{span.id:016x}"}
        if span.parent_id is not None:
            row["parent_id"] = f"{span.parent_id:016x}"
        row["name"] = span.name
        row["notes"] = [note._asdict() for note in span.notes]
        row["dimensions"] = [tag._asdict() for tag in span.dimensions]
        rows.append(row)
    return {"trace_id": f"{trace_id:016x}", "start": min(times), "duration": max(times) - min(times), "spans": rows}


def main(log, out):
    documents = [document(trace_id, spans.values()) for trace_id, spans in read(log).items()]
    documents.sort(key=lambda trace: trace["start"])
    with open(out, "w") as f:
        for trace in documents:
            f.write(json.dumps(trace, separators=(",", ":")) + "\n")


main(*sys.argv[1:])
