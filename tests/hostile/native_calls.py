"""Calls of the native module with drawn bytes: the ends of them are a result or a Python error.

A build with AddressSanitizer (`make fuzz`) sees every read and write outside of the arrays. A crash
names its call: `python -m tests.hostile.native_calls --seed 7 --count 1` repeats call 7.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.trials import use_modules

REFUSALS = (TypeError, ValueError, OverflowError, RuntimeError, OSError)
BYTES = b"\n\n\n\t\t,019-.eE abf\x00\r\x80\xc3\xa9\xed\xff"
NUMBERS = [0, 1, 2, 3, 5, -1, 2**31, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1]
KINDS = ["skip", "continuous", "integer", "hex", "boolean", "string", "label", "clicks"]
TENSORS = ["numbers", "doubles", "integers", "texts"]
RELATIONS = ["==", "!=", "<", "<=", ">", ">="]
PARTS = ["year", "month", "week", "day_of_year", "weekend", "hour", "minute", "second"]

Draw = random.Random


def integers(draw: Draw, rows: int) -> Any:
    """Some in a strided view."""
    values = np.array([draw.choice(NUMBERS) for _ in range(rows * 2)], np.int64)
    return values[::2] if draw.random() < 0.5 else values[:rows].copy()


def offsets(draw: Draw, rows: int, size: int) -> Any:
    """Ascending, or with a number that is not."""
    at = np.array(sorted(draw.randrange(size + 1) for _ in range(rows + 1)), np.int64)
    if rows and draw.random() < 0.2:
        at[draw.randrange(len(at))] = draw.choice(NUMBERS)
    return at


def text(draw: Draw, rows: int) -> tuple[Any, Any]:
    data = np.frombuffer(drawn_bytes(draw), np.uint8)
    return offsets(draw, rows, len(data)), data


def drawn_bytes(draw: Draw) -> bytes:
    size = draw.choice([0, 1, 7, 64, 65, 300, 5000])
    if draw.random() < 0.2:
        return draw.randbytes(size)
    return bytes(draw.choices(BYTES, k=size))


def parse(native: Any, draw: Draw, scratch: Path) -> None:
    fields = draw.choices(KINDS, k=draw.randrange(5))
    line = "\t".join(draw.choice(["1", "0", "-1.5", "abc", "", "é"]) for _ in fields).encode()
    lines = (line + b"\n") * draw.randrange(40) if draw.random() < 0.6 else drawn_bytes(draw)
    words = ["", "NA", "x" * 70][: draw.randrange(4)]
    native.parse_lines(lines, draw.choice(b"\t,;"), draw.random() < 0.5, fields, words, ["yes"])


def columns(native: Any, draw: Draw, scratch: Path) -> None:
    rows = draw.choice([0, 1, 3, 70, 300])
    parts = [integers(draw, rows) if draw.random() < 0.5 else text(draw, rows) for _ in range(3)]
    native.pack_keys(parts[: draw.randrange(4)])
    objects = np.array([drawn_bytes(draw) for _ in range(rows)] + [b""], np.object_)[:rows]
    if rows and draw.random() < 0.3:
        objects[draw.randrange(rows)] = draw.choice(["x", None, 5, bytearray(3)])
    native.pack_objects(objects)
    native.hash_text(*text(draw, rows), np.empty(rows, np.uint64))
    native.distinct_texts(*text(draw, rows))


def index(native: Any, draw: Draw, scratch: Path) -> None:
    """An index whose bytes and header are changed, and look-ups in it."""
    file, is_text = str(scratch / "index"), draw.random() < 0.5
    count = draw.choice([0, 1, 5, 40, 400])
    if is_text:
        data = np.frombuffer(b"".join(b"%03d" % n for n in range(count)), np.uint8)
        native.build_text_index(file, np.arange(count + 1) * 3, data)
    else:
        native.build_integer_index(file, np.arange(count))
    content = bytearray(Path(file).read_bytes())
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(content) // 4) * 4
        content[at : at + 4] = draw.choice([0, 1, 2, count, count + 1, 2**32 - 1]).to_bytes(
            4, "little"
        )
    Path(file).write_bytes(content)
    header = np.frombuffer(bytes(content[16:48]), "<u8").tolist()
    sizes = dict(zip(("count", "homes", "buckets", "data_bytes"), header, strict=True))
    if draw.random() < 0.2:
        sizes[draw.choice(list(sizes))] = draw.choice([0, 1, 2**32, 2**58, 2**63])
    opened = native.Index(file, is_text=is_text, **sizes)
    if is_text:
        at, data = text(draw, 70)
        native.Index.text_positions(opened, at, data, np.empty(70, np.int64))
        known = np.frombuffer(b"".join(b"%03d" % n for n in range(70)), np.uint8)
        opened.text_positions(np.arange(71) * 3, known, np.empty(70, np.int64))
    else:
        opened.positions(np.arange(-5, 405), np.empty(410, np.int64))


def encoder(native: Any, draw: Draw, scratch: Path) -> None:
    """Drawn nodes, of which those that are refused are left out, and drawn requests."""
    made, nodes = native.Encoder(), 0
    native.build_integer_index(str(scratch / "i"), np.arange(40))
    shape = {"is_text": False, "count": 40, "homes": 12}
    size = (scratch / "i").stat().st_size
    found = native.Index(str(scratch / "i"), **shape, buckets=(size - 64) // 64, data_bytes=0)
    for _ in range(draw.choice([1, 5, 30])):
        try:
            nodes = _add(made, draw, nodes, found) + 1
        except REFUSALS:
            continue
    outputs = [(draw.randrange(nodes + 1), column) for column in range(draw.randrange(4))]
    try:
        made.set_outputs(outputs, outputs[::-1])
    except REFUSALS:
        made.set_outputs([], outputs[:1])
    rows = draw.choice([0, 1, 64, 65, 300])
    made.run(
        [np.ones((rows, 2), np.float32)],
        [np.ones((rows, 1))],
        [np.stack([integers(draw, rows), integers(draw, rows)], 1)],
        [text(draw, rows)],
        np.empty((rows, 4), draw.choice([np.int64, np.int32]), order="F"),
        np.empty((rows, 4), np.float32, order="F"),
    )


def _add(made: Any, draw: Draw, nodes: int, found: Any) -> int:
    """Add a drawn node; returns its number."""
    source = draw.randrange(nodes + 2)
    parts = [draw.randrange(nodes + 1) for _ in range(draw.randrange(4))]
    number, values = float(draw.choice(NUMBERS)), integers(draw, 40).copy()
    adds: list[Callable[[], int]] = [
        lambda: made.raw_column(draw.choice(TENSORS), draw.randrange(2), draw.randrange(2)),
        lambda: made.raw_column(draw.choice(TENSORS), 0, 0),
        lambda: made.operation("clip", [number, 5.0], source),
        lambda: made.operation("interpolate", [1.0, 2.0, 3.0, number], source),
        lambda: made.bucketize(sorted(map(float, NUMBERS)), source),
        lambda: made.hash_bucket(draw.choice([0, 1, 7, 2**63]), parts),
        lambda: made.key(parts),
        lambda: made.look_up(found, source),
        lambda: made.look_up_ids(found, 3, 1, 2, draw.randrange(3), source, parts),
        lambda: made.numbers_at(np.ones(draw.choice([39, 40])), 0.0, 1.0, source, parts),
        lambda: made.integers_at(values[: draw.choice([0, 40])], 7, source, parts),
        lambda: made.texts_at(*text(draw, draw.choice([3, 40])), b"x", source, parts),
        lambda: made.fill_integers(draw.choice(NUMBERS), source),
        lambda: made.fill_texts(b"fill", source),
        lambda: made.date_part(draw.choice(PARTS), draw.randrange(-1439, 1440), source),
        lambda: made.seconds(draw.choice(NUMBERS), parts),
        lambda: made.arithmetic("divide", number, 0.0, parts),
        lambda: made.compare_integers(draw.choice(RELATIONS), draw.choice(NUMBERS), source),
        lambda: made.range_ids(-(2**62), 2**62 - 5, source),
    ]
    return draw.choice(adds)()


CALLS = (parse, columns, index, encoder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first call")
    parser.add_argument("--count", type=int, default=10**12, help="number of calls")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for all of them")
    parser.add_argument("--module", type=Path, action="append", default=[], help="a native build")
    options = parser.parse_args()
    use_modules(options.module)
    from plumbline import _native

    faulthandler.enable()
    start, ended = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for seed in range(options.seed, options.seed + options.count):
            draw = random.Random(seed)
            call = draw.choice(CALLS)
            try:
                call(_native, draw, Path(name))
                ended[call.__name__] += 1
            except REFUSALS:
                ended[f"{call.__name__} refused"] += 1
            if time.monotonic() - start > options.seconds:
                break
    print(f"{ended.total()} calls: {dict(sorted(ended.items()))}")  # noqa: T201


if __name__ == "__main__":
    main()
