# SPDX-License-Identifier: Apache-2.0
"""Figures as a page carries them: drawings as they are, maps as pictures as fine as they may be."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from .alongside import alongside
from .figures import OF_AN_AREA, OF_THE_RUN, Sketch
from .findings import Findings, Site
from .overlays import data_url

LONGEST = 48_000
"""Bytes of a drawing above which its pixels are shorter."""

FOR_PAPER = {"overview"}
"""Figures that only put together what the page shows apart."""

EVERY = 6
"""One picture in so many is made to see how long all of them will be."""

METHOD = 2
"""How hard WebP tries: its default, 4, takes twice as long for a twentieth of the bytes."""

GAP = 1.5
"""How many times finer than the picture a plain mean may leave it before the resampling."""


@dataclass(frozen=True)
class Shown:
    """A figure on the page."""

    sketch: Sketch
    """What it shows."""

    path: Path
    """Its pixels."""

    file: str
    """Its drawing, within the run folder."""

    size: tuple[int, int]
    """Width and height, pixels; they keep its place on the page before it is decoded."""

    drawing: str | None
    """Its drawing as a data URL; None where its pixels are shown."""

    @property
    def weight(self) -> int:
        """Bytes of its pixels."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Album:
    """The figures of a page."""

    of_run: tuple[Shown, ...]
    """Those of the run."""

    of_sites: Mapping[str, tuple[Shown, ...]]
    """Those of each area, by its slug."""

    @classmethod
    def of(cls, findings: Findings) -> Self:
        """The figures that were drawn."""

        def held(site: Site) -> tuple[Shown, ...]:
            return _shown(findings.folder, OF_AN_AREA, f"figures/{site.slug}")

        areas = dict(zip((site.slug for site in findings.sites), map(held, findings.sites)))
        return cls(_shown(findings.folder, OF_THE_RUN, "figures"), areas)

    @property
    def every(self) -> tuple[Shown, ...]:
        """All of them."""
        return sum(self.of_sites.values(), self.of_run)

    @property
    def drawn(self) -> int:
        """Bytes of those that are shown as drawings."""
        return sum(len(one.drawing) for one in self.every if one.drawing is not None)

    def pictures(self, width: int, quality: int, room: float) -> dict[Path, str] | None:
        """Those that are shown as pixels, at most ``width`` wide and of a quality from 1 to 100.

        None where a part of them shows that all would take more than ``room`` bytes.
        """
        wanted = [one for one in self.every if one.drawing is None]
        wanted.sort(key=lambda one: (one.sketch.name, one.weight, one.file))
        part = wanted[EVERY // 2 :: EVERY]
        made = alongside(lambda one: shrunk(one.path.read_bytes(), width, quality), part)
        weight = sum(one.weight for one in wanted) / max(1, sum(one.weight for one in part))
        if weight * sum(map(len, made)) > room:
            return None
        rest = [one for one in wanted if one not in part]
        more = alongside(lambda one: shrunk(one.path.read_bytes(), width, quality), rest)
        return dict(zip((one.path for one in (*part, *rest)), (*made, *more)))


def _shown(run: Path, sketches: tuple[Sketch, ...], folder: str) -> tuple[Shown, ...]:
    found = []
    for sketch in sketches:
        path = run / folder / f"{sketch.name}.png"
        if not path.is_file() or sketch.name in FOR_PAPER:
            continue
        with Image.open(path) as picture:
            size = picture.size
        lines = None if sketch.pictures else drawing(path.with_suffix(".svg").read_text("utf-8"))
        short = lines is not None and len(lines) <= LONGEST
        file = f"{folder}/{sketch.name}.svg"
        found.append(Shown(sketch, path, file, size, lines if short else None))
    return tuple(found)


def drawing(svg: str) -> str:
    """A drawing as a data URL: without its metadata, and to a tenth of a point.

    Only what stands in tags is shortened: numbers in its texts are results.
    """
    plain = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    plain = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d)\d+", r"\1", tag[0]), plain)
    return data_url("image/svg+xml", re.sub(r"\s*\n\s*", "\n", plain).encode())


def shrunk(png: bytes, width: int, quality: int) -> str:
    """A picture at most ``width`` pixels wide as a data URL, of a quality from 1 to 100."""
    with Image.open(io.BytesIO(png)) as image:
        flat = image.convert("RGB")
    if flat.width > width:
        size = width, round(flat.height * width / flat.width)
        flat = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=GAP)
    buffer = io.BytesIO()
    flat.save(buffer, "WEBP", quality=quality, method=METHOD)
    return data_url("image/webp", buffer.getvalue())
