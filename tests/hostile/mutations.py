"""Changes of a file: of its JSON, of its bytes, or of what kind of file it is."""

from __future__ import annotations

import copy
import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Random = random.Random

VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 3, 127, 2**31, 2**32, 2**40, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    2**64, 10**400, 0.5, -0.0, 5e-324, 1e308, -1e308, float("inf"), float("nan"), "", "x", "1",
    "../plan.json", "/etc/passwd", "vocabulary", ".", "a\0b", "\ud800", "é" * 300, [], {}, [[]],
    "Oslo", "int64", "float32", "list<int64>", "text", "integer",
]  # fmt: skip
WORDS = [0, 1, 2, 5, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1]
LONG_WORDS = [*WORDS, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def mutate(file: Path, draw: Random) -> str:
    """Change a file in one to three ways; returns what was done."""
    if draw.random() < 0.03:
        return _of_another_kind(file, draw)
    done = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        is_json = file.suffix == ".json" and draw.random() < 0.9
        change: Callable[[bytes, Random], bytes] = _json if is_json else _bytes
        file.write_bytes(change(file.read_bytes(), draw))
        done.append(change.__name__.strip("_"))
    return " ".join(done)


def _json(content: bytes, draw: Random) -> bytes:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _bytes(content, draw)
    places = list(_places(value))
    if not places:
        return _bytes(content, draw)
    holder, key = draw.choice(places)
    match draw.randrange(8):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(draw.choice(VALUES))
        case 3:
            other, of_other = draw.choice(places)
            holder[key] = copy.deepcopy(other[of_other])
        case 4:
            del holder[key]
        case 5:
            holder[key] = _near(holder[key], draw)
        case 6:
            if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            else:
                holder[draw.choice(["op", "name", "x"])] = holder[key]
        case _:
            depth = draw.choice([1, 2, 50, 400, 2000])
            return _nested(value, holder, key, depth, draw)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _nested(value: Any, holder: Any, key: Any, depth: int, draw: Random) -> bytes:
    """The value at a place, inside of many lists, objects or chains."""
    start, end = draw.choice([("[", "]"), ('{"a":', "}"), ('{"sources":[', '],"steps":[]}')])
    inner = json.dumps(holder[key])
    holder[key] = "@@"
    return json.dumps(value).replace('"@@"', start * depth + inner + end * depth).encode()


def _near(value: Any, draw: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return draw.choice(VALUES)
    if isinstance(value, (int, float)):
        return draw.choice([value + 1, value - 1, -value, value * 1000, str(value), float(value)])
    if isinstance(value, str):
        return draw.choice([value.upper(), value + "x", value[:-1], f"../{value}", f"./{value}"])
    return list(value) * 2 if isinstance(value, list) else [value]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """The holder and the key of every value inside of another."""
    waiting, places = [value], []
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        places += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], (dict, list))]
    return places


def _bytes(content: bytes, draw: Random) -> bytes:
    data = bytearray(content)
    at = draw.randrange(len(data) + 1)
    size = draw.choice([1, 4, 8, 64, 1000])
    match draw.randrange(8):
        case 0 if data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        case 1:
            at -= at % 4
            data[at : at + 4] = struct.pack("<I", draw.choice(WORDS))
        case 2 | 3:
            at -= at % 8
            data[at : at + 8] = struct.pack("<Q", draw.choice(LONG_WORDS))
        case 4:
            del data[at : at + size]
        case 5:
            data[at:at] = data[at : at + size]
        case 6:
            del data[at:]
        case _:
            data[at : at + size] = draw.randbytes(size)
    return bytes(data)


def _of_another_kind(file: Path, draw: Random) -> str:
    file.unlink()
    match draw.randrange(4):
        case 0:
            os.mkfifo(file)
            return "a pipe"
        case 1:
            file.mkdir()
            return "a folder"
        case 2:
            file.symlink_to(draw.choice(["/dev/zero", "/etc/passwd", file.name, "../nothing"]))
            return "a link"
    return "nothing"
