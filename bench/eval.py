#!/usr/bin/env python3
"""Traces out of a log the straightforward way: every span line is evaluated.

    eval.py LOG OUT

writes the same documents as `tomoscrape replay --json`, one trace a line, but for
the texts of problems and for times that a float rounds otherwise. It is what
tomoscrape's speed is compared with, so it stays plain: no tricks, and none of
tomoscrape's care for damaged or hostile lines.
"""
import json
import re
import sys
from collections import namedtuple

Span = namedtuple("Span", "trace_id parent_id id name notes dimensions")
Note = namedtuple("Note", "time value service_name address port duration")
Tag = namedtuple("Tag", "key value service_name address port")

SPAN = re.compile(r"tomograph\.backends\.log (?:\[(req-\S+)?[^\]]*\] )?(Span\(.*\))$")
PID = re.compile(r"\S+ \S+ (\d+) ")
NAMES = {"Span": Span, "Note": Note, "Tag": Tag}


def read(log):
    traces = {}  # trace_id: {id: (span, origins)}
    with open(log, errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            match = SPAN.search(line)
            if match:
                span = eval(match[2], NAMES)
                origin = {"file": log, "line": number}
                if match[1]:
                    origin["request_id"] = match[1]
                pid = PID.match(line)
                if pid:
                    origin["pid"] = int(pid[1])
                traces.setdefault(span.trace_id, {}).setdefault(span.id, (span, []))[1].append(origin)
    return traces


def microseconds(time):
    return round(time * 1_000_000)


def extent(row, times):
    if times:
        row["start"] = min(times)
    if len(times) > 1:
        row["duration"] = max(times) - min(times)


def row(span, origins):
    row = {"id": f"{span.id:016x}", "tomograph_id": str(span.id)}
    if span.parent_id is not None:
        row["parent_id"] = f"{span.parent_id:016x}"
    row["depth"] = 0
    row["name"] = span.name
    if span.notes:
        row["service"] = span.notes[0].service_name
        row["host"] = span.notes[0].address
    notes = [
        {"time": microseconds(note.time), "value": note.value, "service": note.service_name,
         "address": note.address, "port": note.port, "duration": note.duration}
        for note in span.notes
    ]
    extent(row, [note["time"] for note in notes])
    row["notes"] = notes
    row["dimensions"] = [
        {"key": tag.key, "value": tag.value, "service": tag.service_name, "address": tag.address, "port": tag.port}
        for tag in span.dimensions
    ]
    row["origin"] = origins
    row["problems"] = []
    return row


def tree(rows):
    """The rows in depth-first order, children by start and id, and the problems."""
    roots, children, problems = [], {}, []
    for row in sorted(rows.values(), key=lambda row: (row.get("start", float("inf")), row["id"])):
        parent = row.get("parent_id")
        if parent in rows:
            children.setdefault(parent, []).append(row)
            continue
        if parent is not None:
            row["problems"] = [{"code": "missing-parent", "span": row["id"]}]
            problems += row["problems"]
        roots.append(row)
    ordered, waiting = [], roots[::-1]
    while waiting:
        row = waiting.pop()
        ordered.append(row)
        for child in reversed(children.get(row["id"], [])):
            child["depth"] = row["depth"] + 1
            waiting.append(child)
    return ordered, problems


def document(trace_id, spans):
    ordered, problems = tree({row["id"]: row for row in (row(*span) for span in spans)})
    times = [note["time"] for row in ordered for note in row["notes"]]
    trace = {"trace_id": f"{trace_id:016x}", "tomograph_id": str(trace_id)}
    extent(trace, times)
    trace["verdict"] = "incomplete" if problems else "complete"
    trace["problems"] = problems
    trace["services"] = sorted({note["service"] for row in ordered for note in row["notes"]})
    trace["spans"] = ordered
    return trace


def main(log, out):
    documents = [document(trace_id, spans.values()) for trace_id, spans in read(log).items()]
    documents.sort(key=lambda trace: (trace["start"], trace["trace_id"]))
    with open(out, "w") as f:
        for trace in documents:
            f.write(json.dumps(trace, separators=(",", ":"), ensure_ascii=False) + "\n")


main(*sys.argv[1:])
