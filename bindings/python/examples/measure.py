"""What a review costs from Python: `measure.py DIRECTORY ROUNDS`, of what `crates/embed/examples/measure.rs` writes there; and whether memory
grows: `measure.py DIRECTORY --count REVIEWS`, on one thread, with a line for each million."""

import json
import struct
import sys
import time
from pathlib import Path

from portcullis import Options, Policies, _native


def inputs(directory):
    engine, answer = _native.Engine.compile((directory / "compile.json").read_bytes())
    data, objects = (directory / "objects").read_bytes(), []
    while data:
        (size,) = struct.unpack("<I", data[:4])
        objects.append(data[4 : 4 + size])
        data = data[4 + size :]
    return Policies(engine, None), objects


def measure(name, rounds, objects, judge):
    """The mean over the objects of the best time of each, in microseconds."""
    took = 0.0
    for obj in objects:
        best = float("inf")
        for _ in range(rounds):
            begun = time.perf_counter()
            judge(obj)
            best = min(best, time.perf_counter() - begun)
        took += best
    print(f"{name}: {took / len(objects) * 1e6:.1f} µs")


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def grow(policies, objects, total):
    options, count, next_look, began = Options(now_ms=0), 0, 0, time.monotonic()
    values = [json.loads(obj) for obj in objects]

    def look():
        print(f"{count} reviews, {resident()} KiB, {time.monotonic() - began:.0f} s", flush=True)

    while count < total:
        if count >= next_look:
            look()
            next_look += 1_000_000
        # Values whose outcomes are read, and texts whose answers are not, by both ways in.
        for outcome in policies.review_many(values, options, threads=1):
            outcome.denials
        for obj in objects:
            policies._engine.review(obj, b'{"nowMs":0}')
        count += len(values) + len(objects)
    look()


def main():
    policies, objects = inputs(Path(sys.argv[1]))
    if sys.argv[2] == "--count":
        return grow(policies, objects, int(sys.argv[3]))
    rounds = int(sys.argv[2])
    raw = b'{"nowMs":0}'
    measure("bytes in, JSON out", rounds, objects, lambda obj: policies._engine.review(obj, raw))
    options = Options(now_ms=0)

    def texts(obj):
        [outcome] = (policies._engine.review(obj, options._json()),)
        return outcome

    measure("the same, with `Options`", rounds, objects, texts)
    values = [json.loads(obj) for obj in objects]

    def read(obj):
        # What could not be judged is told without an exception, as for the others that are measured.
        said = policies._engine.review(json.dumps(obj), options._json())
        return json.loads(said[1])["denials"]

    measure("a dict in, denials out", rounds, values, read)


main()
