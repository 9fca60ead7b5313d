# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one file that opens from a disk or a mail, and asks nobody for anything."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from . import wording
from .alongside import alongside
from .clearness import Clear, clear_shares
from .drift import drifted, view_times
from .findings import Findings, Site
from .methods import methods, references
from .overlays import LEVELS, TREND_LEVELS, overlay
from .pictures import Album, Shown
from .published import published
from .style import CHANGE_MAP, MINES, ONE_COLUMN, RSEI_MAP, RULES

LIMIT = 4_900_000
"""Most bytes of a page: mail programs take some five million."""

DETAILS = (
    (1.0, 1100, 82),
    (1.0, 860, 65),
    (1.0, 640, 50),
    (0.7, 640, 50),
    (0.5, 640, 50),
    (0.5, 480, 35),
    (0.3, 480, 35),
)
"""What is tried until the page is small: pixels along a side of the interactive map for each one of
the index, and the width, pixels, and quality of the pictures of maps."""

SLACK = 1.05
"""How many limits long a page may seem by a part of its pictures, and still be made."""

LISTED = 400
"""Granules up to which the page names each; the run's record names them all."""

INDICATORS = ("ndvi", "wet", "ndbsi", "lst")
"""Columns of the loadings."""


def page(findings: Findings) -> bytes:
    """The page as HTML. The run's figures are taken from its folder.

    Many areas share its size: their pictures are then coarser, and the figures' files are not.
    """
    clear, album = clear_shares(findings), Album.of(findings)
    html, text, trended, drawn = b"", "", False, 0.0
    for fineness, width, quality in DETAILS:
        if fineness != drawn:
            data, drawn = map_data(findings, fineness), fineness
            text, trended = _json(data), any(site["trend"] for site in data["sites"])
        room = SLACK * LIMIT - len(text) - album.drawn
        last = (fineness, width, quality) == DETAILS[-1]
        pictures = album.pictures(width, quality, math.inf if last else room)
        if pictures is None:
            continue
        html = _page(findings, Parts(Markup(text), trended, clear, album, pictures))
        if len(html) <= LIMIT:
            break
    return html


@dataclass(frozen=True)
class Parts:
    """What a page is put together of, beside the tables of the run."""

    data: Markup
    """What its map shows, as JSON."""

    trended: bool
    """Whether the map has a layer of slopes."""

    clear: list[Clear]
    """Clear observations of each area and epoch."""

    album: Album
    """Its figures."""

    pictures: Mapping[Path, str]
    """Those of them that are shown as pixels, by their files."""


def _page(findings: Findings, parts: Parts) -> bytes:
    scripts = [_text("leaflet.js"), _text("page.js")]
    styles = [_without_pictures(_text("leaflet.css")), _text("page.css")]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    epochs, compared = wording.comparison(findings.of("series"))
    html = environment.from_string(_text("page.html.jinja")).render(
        policy=policy(scripts, styles),
        scripts=[Markup(one) for one in scripts],
        styles=[Markup(one) for one in styles],
        data=parts.data,
        trended=parts.trended,
        study=findings.settings["study"]["name"],
        lead=wording.lead(findings),
        warnings=findings.record["warnings"],
        figures=_figures(parts.album.of_run, parts.pictures),
        sites=[
            _site(findings, site, _figures(parts.album.of_sites[site.slug], parts.pictures))
            for site in findings.sites
        ],
        coverage=_coverage(findings),
        clear=parts.clear,
        times=(times := view_times(findings)),
        drifted=drifted(times),
        published=published(findings),
        quality=_quality(findings),
        epochs=epochs,
        compared=compared,
        methods=(told := methods(findings)),
        references=references(told),
        provenance=wording.provenance(findings),
        listed=LISTED,
    )
    return html.encode()


def policy(scripts: list[str], styles: list[str]) -> str:
    """The content security policy: our own scripts and styles by their hashes, and no network."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(scripts)}",
            f"style-src {_hashes(styles)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hashes(texts: list[str]) -> str:
    found = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{one}'" for one in found)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _without_pictures(style: str) -> str:
    """A style sheet without the pictures of markers and buttons, which we do not use."""
    return re.sub(r"url\(images/[^)]*\)", "none", style)


def _json(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end that element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def map_data(findings: Findings, fineness: float = 1.0) -> dict[str, Any]:
    """What the page's map shows, as JSON values."""
    return {
        "sites": alongside(lambda site: overlay(site, fineness), findings.sites),
        "colours": {"rsei": _ramp(RSEI_MAP), "change": _ramp(CHANGE_MAP)},
        "mines": MINES,
        "levels": LEVELS,
        "trendLevels": TREND_LEVELS,
    }


def _ramp(colours: Any) -> list[list[int]]:
    """255 colours, red, green and blue, from the lowest to the highest."""
    shades = colours(np.linspace(0, 1, 255), bytes=True)[:, :3]
    return [[int(part) for part in shade] for shade in shades]


def _site(findings: Findings, site: Site, figures: list[dict[str, Any]]) -> dict[str, Any]:
    pca = findings.of("pca", site.name)
    return {
        "name": site.name,
        "slug": site.slug,
        "summary": wording.summary(findings, site),
        "verdicts": wording.verdicts(findings, site),
        "pca": [] if pca is None else wording.records(pca),
        "indicators": INDICATORS,
        "figures": figures,
    }


def _figures(album: Sequence[Shown], pictures: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Figures as the page's template has them."""
    widest = 1.5 * ONE_COLUMN * RULES["savefig.dpi"]
    return [
        {
            "name": one.sketch.name,
            "title": one.sketch.title,
            "caption": one.sketch.caption,
            "image": one.drawing or pictures[one.path],
            "width": one.size[0],
            "height": one.size[1],
            "file": one.file,
            "shape": "broad" if one.size[0] > widest else "narrow",
        }
        for one in album
    ]


def _coverage(findings: Findings) -> list[dict[str, Any]]:
    """Composites of each product: how many there are, are missing, are damaged."""
    table = findings.of("coverage")
    if table is None:
        return []
    counts = table.groupby("product")["status"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=["present", "missing", "bad"], fill_value=0)
    return wording.records(counts.reset_index())


def _quality(findings: Findings) -> list[tuple[str, str, int]]:
    """The rules that cost most observations: product, reason and pixel-dates."""
    table = findings.of("quality")
    if table is None:
        return []
    lost = table.groupby(["product", "reason"])["n"].sum().reset_index()
    most = lost.sort_values("n", ascending=False, kind="stable").head(12)
    rows = zip(most["product"], most["reason"], most["n"])
    return [(str(product), str(reason), int(n)) for product, reason, n in rows if n]
