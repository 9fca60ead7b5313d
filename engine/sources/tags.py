# SPDX-License-Identifier: Apache-2.0
"""Where a TIFF lies, by its own tags, and how one of ours is made another's: GDAL would build the
coordinate system besides.

Source: TIFF 6.0, section 2; BigTIFF; OGC GeoTIFF 1.1, annex B.6.
"""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from affine import Affine

PIXEL_SCALE, TIE_POINT, DOUBLE = 33550, 33922, 12
"""Tags of a TIFF that say where it lies, and the type of their numbers."""

MOST = 1000
"""Tags of a TIFF that are looked at; ours have 20."""


PLAIN = re.compile(r"[A-Za-z0-9]+", re.ASCII)
"""Text of which XML writes every letter as it is."""


@dataclass(frozen=True)
class Doubles:
    """The numbers of a tag."""

    form: str
    """How they are packed."""

    at: int
    """Where they lie in the file."""

    values: tuple[float, ...]
    """The numbers."""


def stored_transform(path: Path) -> Affine | None:
    """Where the pixels of a TIFF lie, by its own tags; None where they do not say it plainly.

    GDAL takes ten times as long for it as for all else.
    """
    try:
        with path.open("rb") as file:
            tags = dict(_doubles(file))
    except (OSError, struct.error, KeyError, MemoryError, OverflowError):
        return None  # whoever opens it says what is wrong
    if tags.keys() != {PIXEL_SCALE, TIE_POINT}:
        return None
    scale, tie = tags[PIXEL_SCALE].values, tags[TIE_POINT].values
    if len(scale) != 3 or len(tie) != 6:
        return None
    dx, dy = scale[0], -abs(scale[1])
    return Affine(dx, 0, tie[3] - tie[0] * dx, 0, dy, tie[4] - tie[1] * dy)


def moved(data: bytes, left: float, top: float) -> bytes:
    """The bytes of a TIFF of ours, with its first pixel's corner at ``left`` and ``top``."""
    tie = dict(_doubles(io.BytesIO(data)))[TIE_POINT]
    placed = bytearray(data)
    struct.pack_into(tie.form, placed, tie.at, *tie.values[:3], left, top, *tie.values[5:])
    return bytes(placed)


def blank(tags: Mapping[str, str]) -> dict[str, str]:
    """The same tags with zeros in the place of what is plain text, so that many files are alike."""
    return {
        name: "0" * len(value) if PLAIN.fullmatch(value) else value for name, value in tags.items()
    }


def told(data: bytes, tags: Mapping[str, str]) -> bytes:
    """The bytes of a TIFF of ours with ``tags``, which was written with ``blank`` of them."""
    for name, zeros in blank(tags).items():
        data = data.replace(_item(name, zeros), _item(name, tags[name]), 1)
    return data


def _item(name: str, value: str) -> bytes:
    """A tag as GDAL writes it."""
    return f'<Item name="{name}">{value}</Item>'.encode()


def _doubles(file: BinaryIO) -> Iterator[tuple[int, Doubles]]:
    """The tags of a TIFF's first image that say where it lies, and their numbers."""
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    big = struct.unpack_from(order + "H", start, 2) == (43,)
    entry, places = (order + "HHQQ", "Q") if big else (order + "HHII", "I")
    (at,) = struct.unpack_from(order + places, start, 8 if big else 4)
    file.seek(at)
    counter = order + ("Q" if big else "H")
    (count,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
    table = file.read(min(count, MOST) * struct.calcsize(entry))
    for tag, kind, length, place in struct.iter_unpack(entry, table):
        if tag in (PIXEL_SCALE, TIE_POINT) and kind == DOUBLE and length <= 6:
            file.seek(place)
            form = f"{order}{length}d"
            yield tag, Doubles(form, place, struct.unpack(form, file.read(8 * length)))
