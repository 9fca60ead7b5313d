# SPDX-License-Identifier: Apache-2.0
"""How files are spoilt: bytes of binary ones, lines, numbers and leaves of texts."""

import json
import re
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

WORDS = st.sampled_from(
    [0, 1, 2, 7, 127, 128, 255, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63]
)
"""Numbers at which arithmetic goes wrong."""

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "word", "insert", "cut", "copy"]),
        st.integers(0, 1 << 20) | st.integers(0, 600),
        st.integers(0, 1 << 16),
        WORDS | st.integers(0, (1 << 64) - 1),
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["big", "little"]),
    ),
    min_size=1,
    max_size=8,
)


def bytes_like(seed: bytes) -> SearchStrategy[bytes]:
    """``seed``, spoilt: bytes and words changed, parts cut out, doubled, and the end cut off."""
    kept = st.sampled_from([1.0] * 6 + [0.98, 0.7, 0.2])
    return st.tuples(EDITS, kept).map(lambda how: spoilt(seed, *how))


def spoilt(seed: bytes, edits: list[tuple[str, int, int, int, int, Any]], kept: float) -> bytes:
    data = bytearray(seed)
    for kind, place, other, number, size, order in edits:
        at = place % (len(data) + 1)
        word = (number % (1 << (8 * size))).to_bytes(size, order)
        if kind == "set":
            data[at : at + 1] = word[:1]
        elif kind == "word":
            data[at : at + size] = word
        elif kind == "insert":
            data[at:at] = word
        elif kind == "cut":
            del data[at : at + other % 64]
        else:
            source = other % (len(data) + 1)
            data[at : at + 16 * size] = data[source : source + 16 * size]
    return bytes(data[: int(len(data) * kept)])


ODD = st.sampled_from(
    ["", "0", "-1", "nan", "inf", "-inf", "1e308", "1e999", "2147483648", "()", "(,)",
     '"', "[]", "{}", "true", "null", "\x00", "é", "😀", "../../etc/passwd", "/vsizip/a.zip/b.tif",
     "https://127.0.0.1/a", "${HOME}", "0x10", "1_000", "2012-02-30", "9999-99-99"]
) | st.text(max_size=12) | st.just("9").map(lambda digit: 5000 * digit)  # fmt: skip
"""Values that nobody expects."""

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "swap", "number", "value", "insert"]),
        st.integers(0, 1 << 12),
        st.integers(0, 1 << 12),
        ODD,
    ),
    min_size=1,
    max_size=6,
)


def text_like(seed: str) -> SearchStrategy[bytes]:
    """``seed``, spoilt: lines dropped, doubled, swapped; numbers and values replaced."""
    return CHANGES.map(lambda changes: garbled(seed, changes))


def garbled(seed: str, changes: list[tuple[str, int, int, str]]) -> bytes:
    lines = seed.splitlines() or [""]
    for kind, place, other, odd in changes:
        here, there = place % len(lines), other % len(lines)
        if kind == "drop" and len(lines) > 1:
            del lines[here]
        elif kind == "double":
            lines.insert(there, lines[here])
        elif kind == "swap":
            lines[here], lines[there] = lines[there], lines[here]
        elif kind == "number":
            number = re.search(r"-?\d[\d.]*", lines[here])
            if number:
                lines[here] = lines[here].replace(number[0], odd, 1)
        elif kind == "value":
            key, sign, _ = lines[here].partition("=")
            lines[here] = f"{key}{sign}{odd}"
        else:
            lines.insert(here, odd)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


LEAVES: SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=4,
)
"""Values of JSON."""


def json_like(seed: bytes) -> SearchStrategy[bytes]:
    """The JSON document ``seed``, up to three of its values dropped or replaced."""
    change = st.tuples(st.integers(0, 1 << 12), st.booleans(), LEAVES)
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: replaced(seed, changes))


def replaced(seed: bytes, changes: list[tuple[int, bool, Any]]) -> bytes:
    document = json.loads(seed)
    for place, dropped, value in changes:
        holders = list(walked(document))
        if not holders:
            return json.dumps(value).encode()
        holder, key = holders[place % len(holders)]
        if dropped:
            del holder[key]
        else:
            holder[key] = value
    return json.dumps(document).encode("utf-8", "replace")


def walked(value: Any) -> Any:
    """Every place in a document that holds a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from walked(inner)
