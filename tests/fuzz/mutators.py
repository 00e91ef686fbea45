"""Ways to damage a file: its bytes, its compressed stream, its header, its tree, its cells.

Each takes a source of random numbers and good content, and returns bad content.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from random import Random
from typing import Any

INTEGERS = (0, 1, -1, 2, 7, 127, 255, 256, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**40)
FLOATS = (0.0, -1.0, 1e-30, 1e10, 1e30, -1e30, 3.4e38, float("inf"), float("-inf"), float("nan"))
WORDS = (
    *("", " ", "x", "nan", "inf", "-inf", "None", "true", "0", "-1", "1e999", "9" * 20, "9" * 401),
    *("9" * 5000, "=1+1", "+1", "@x", "\t", "\x07", "\x00", "\ud800", "\u202e", "$$", "a/b", ".."),
    *("../x", '"', '"x, y"', "'", ",", ";", "\n", "\r\n", "é€", "x" * 3000),
)


def damaged(random: Random, data: bytes) -> bytes:
    """Return bytes with some of them changed, cut out, doubled, or cut off."""
    content = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        place = random.randrange(len(content) + 1)
        length = random.choice((1, 1, 2, 4, 8, 64, 512))
        kind = random.randrange(6)
        if kind == 0 and place < len(content):
            content[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            content[place : place + length] = random.randbytes(length)
        elif kind == 2:
            content[place : place + length] = bytes([random.choice((0, 255, 32, 57))]) * length
        elif kind == 3:
            del content[place : place + length]
        elif kind == 4:
            content[place:place] = content[place : place + length]
        else:
            del content[place:]
    return bytes(content)


# --------------------------------------------------------------------------------- NIfTI

_SHORTS = (*range(40, 56, 2), 36, 68, 70, 72, 74, 120, 252, 254)
_FLOATS = (56, 60, 64, *range(76, 120, 4), 124, 128, 136, *range(256, 328, 4))
_BYTES = (38, 39, 122, 123, 344, 345, 346, 347)


def nifti(random: Random, data: bytes) -> bytes:
    """Return a NIfTI-1 file, not compressed, with fields of its header or bytes changed."""
    content = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        kind = random.randrange(8)
        if kind < 3:
            value = random.choice(INTEGERS) if random.random() < 0.8 else random.randrange(70000)
            struct.pack_into("<H", content, random.choice(_SHORTS), value & 0xFFFF)
        elif kind < 6:
            value = random.choice(FLOATS) if random.random() < 0.8 else random.gauss(0.0, 100.0)
            struct.pack_into("<f", content, random.choice(_FLOATS), value)
        elif kind == 6:
            content[random.choice(_BYTES)] = random.randrange(256)
        else:
            struct.pack_into("<i", content, 0, random.choice(INTEGERS[:-1]))
    return damaged(random, bytes(content)) if random.random() < 0.2 else bytes(content)


def compressed(random: Random, data: bytes) -> bytes:
    """Return a gzip stream, sometimes damaged, of data."""
    stream = gzip.compress(data, 1)
    return damaged(random, stream) if random.random() < 0.3 else stream


# ---------------------------------------------------------------------------------- JSON


def odd(random: Random) -> Any:
    """Return a value that should not be there."""
    kind = random.randrange(8)
    if kind == 0:
        return random.choice(
            (None, True, False, [], {}, [[]], {"a": 1}, [None], [1, "x"], {"": {}})
        )
    if kind == 1:
        return random.choice((*INTEGERS, 10**30, 10**400, -(10**400)))
    if kind == 2:
        return random.choice(FLOATS)
    if kind == 3:
        return [random.choice(INTEGERS) for _ in range(random.randrange(6))]
    if kind == 4:
        return {random.choice(WORDS): random.choice(WORDS)}
    return random.choice(WORDS)


def tree(random: Random, content: Any) -> Any:
    """Return a tree of JSON with a few nodes changed, left out, renamed or doubled."""
    made = json.loads(json.dumps(content))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        nodes = [node for node in _nodes(made) if node]
        if not nodes:
            return odd(random)
        node = random.choice(nodes)
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        kind = random.randrange(9)
        if kind < 2:
            node[key] = odd(random)
        elif kind < 6:
            node[key] = _other(random, node[key])
        elif kind == 6:
            del node[key]
        elif kind == 7 and isinstance(node, dict):
            node[random.choice(WORDS)] = node.pop(key)
        elif isinstance(node, list):
            node.insert(key, node[key])
        else:
            node[key] = node[random.choice(list(node))]
    return made


def _other(random: Random, value: Any) -> Any:
    """Return another value of the same kind, which a check of kinds lets pass."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((*INTEGERS, value + 1, value - 1, -value))
    if isinstance(value, float):
        return random.choice((*FLOATS, 2.0 * value, -value, 1e308))
    if isinstance(value, str):
        return random.choice((*WORDS, value.upper(), value + value, value[:-1]))
    if isinstance(value, list):
        return random.choice((value[:-1], value + value[:1], value[::-1], value[:1]))
    return {} if isinstance(value, dict) else odd(random)


def _nodes(content: Any) -> list[Any]:
    found, waiting = [], [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found


def json_text(random: Random, content: Any) -> bytes:
    """Return the text of a tree that was changed, or the damaged text of one that was not."""
    kind = random.randrange(10)
    if kind == 0:
        return damaged(random, json.dumps(content).encode())
    if kind == 1:
        sign = random.choice(("[", '{"a":', '{"labels":[', "[[],"))
        return (sign * random.choice((50, 2000, 100_000))).encode()
    text = json.dumps(tree(random, content))
    if kind == 2:
        # What json.dumps cannot write: numbers of more digits than Python converts.
        text = text.replace("1", "9" * random.choice((401, 5000)), 1)
    return text.encode()


# -------------------------------------------------------------------------------- tables


SEPARATORS = (",", ",", ",", "\t", ";", " ", "  ")


def lines(random: Random, text: str, separators: tuple[str, ...] = SEPARATORS) -> bytes:
    """Return the text of a table, with commas, with cells and separators changed."""
    rows = [list(row) for row in (line.split(",") for line in text.splitlines())]
    for _ in range(random.choice((1, 1, 2, 5))):
        row = random.choice(rows)
        place = random.randrange(len(row) + 1)
        kind = random.randrange(5)
        if kind < 2 and place < len(row):
            row[place] = random.choice(WORDS)
        elif kind == 2:
            row.insert(place, random.choice(WORDS))
        elif kind == 3 and place < len(row):
            del row[place]
        else:
            rows.insert(random.randrange(len(rows)), list(row))
    separator = random.choice(separators)
    made = "\n".join(separator.join(row) for row in rows)
    code = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"))
    content = made.encode(code, "replace" if code == "latin-1" else "surrogatepass")
    return damaged(random, content) if random.random() < 0.2 else content


# ------------------------------------------------------------------------------ archives


def archive(random: Random, data: bytes) -> bytes:
    """Return a zip archive with a member changed, left out, claimed larger, or encrypted."""
    if random.random() < 0.35:
        return damaged(random, data)
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    name = random.choice(list(members))
    kind = random.randrange(7)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[name] = bytes(random.choice((0, 1, 100, 64 << 20)))
    elif kind == 2:
        members[random.choice(WORDS[1:]).replace("\ud800", "x")[:60] or "x"] = members.pop(name)
    elif kind == 3:
        members[name] = _claim(random, members[name])
    else:
        members[name] = damaged(random, members[name])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for path, content in members.items():
            target.writestr(path.replace("\x00", "x") or "x", content)
    made = bytearray(stream.getvalue())
    if kind == 4:
        # Bit 0 of the flags, in the directory: the member is encrypted.
        place = made.rfind(b"PK\x01\x02")
        made[place + 8] |= 1
    return bytes(made)


def _claim(random: Random, data: bytes) -> bytes:
    """Return a file of NumPy, or of XML, that says it has more, or other, content than it has."""
    if not data.startswith(b"\x93NUMPY"):
        old = random.choice((b'r="1"', b"A1", b"<v>", b't="n"', b"<row", b"</c>"))
        new = random.choice((b'r="1048576"', b"XFD1048576", b"<v>9e999", b't="e"', b"<c", b""))
        return data.replace(old, new, random.choice((1, -1)))
    stream = io.BytesIO(data)
    length = int.from_bytes(data[8:10], "little")
    stream.seek(10 + length)
    shape = random.choice(((2**40,), (-1,), (2**31, 2**31), (), (0,), (1e9,), "x", (1, 2, 3)))
    kind = random.choice(("<f8", "<c16", "|O", "<U9", "|V8", ">f4", "<M8[s]", "|b1", "x"))
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode() + b"\n"
    if random.random() < 0.1:
        header = b"(" * 2000 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + stream.read()
