# SPDX-License-Identifier: Apache-2.0
"""Every figure of a run as data: what it needs, what it shows, and what draws it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from . import figures_drivers, figures_index, figures_mines, figures_study, figures_zones
from .findings import Findings, Site
from .kinds import KINDS
from .style import drawable, saved


@dataclass(frozen=True)
class Sketch:
    """One kind of figure."""

    name: str
    """Name of its files."""

    title: str
    """What it is, in a few words."""

    caption: str
    """What it shows, to one who cannot see it too."""

    needs: tuple[str, ...]
    """Tables without which it is left out."""

    draw: "Callable[[Findings, Site], Figure | None] | Callable[[Findings], Figure | None]"
    """Draws it; None where there is nothing to show."""

    pictures: bool = False
    """Whether it is mostly maps, which a page takes as pixels."""


@dataclass(frozen=True)
class Drawn:
    """A figure that was drawn."""

    sketch: Sketch
    """Which one."""

    files: dict[str, bytes]
    """Its files, by kind."""


def _of(findings: Findings, name: str, site: Site | None = None) -> pd.DataFrame:
    table = findings.of(name, site.name if site else None)
    if table is None:
        raise LookupError(f"expected rows of the table {name}, found none")
    return table


def _title(site: Site) -> str:
    return drawable(site.name, site.slug)


def _change(findings: Findings, site: Site) -> Figure | None:
    return figures_index.change_map(site) if len(site.epochs) > 1 else None


def _series(findings: Findings, site: Site) -> Figure | None:
    if len(site.epochs) < 2:
        return None  # one point is no series, and its number stands in the table
    return figures_zones.series(_of(findings, "series", site), _title(site))


def _classes(findings: Findings, site: Site) -> Figure:
    return figures_zones.classes(site, findings.of("densities", site.name))


def _insets(findings: Findings, site: Site) -> Figure | None:
    return figures_mines.insets(site, site.epochs[-1])


def _rings(findings: Findings, site: Site) -> Figure:
    fits, breaks = findings.of("ring_fits", site.name), findings.of("breakpoints", site.name)
    return figures_mines.rings(_of(findings, "rings", site), fits, breaks, _title(site))


def _driver_maps(findings: Findings, site: Site) -> Figure | None:
    table = findings.pixels("drivers", site.name)
    return None if table is None else figures_drivers.driver_maps(table, _title(site))


def _explained(findings: Findings, site: Site) -> Figure:
    return figures_drivers.explained(
        findings.of("correlation", site.name),
        findings.pixels("drivers", site.name),
        findings.pixels("predictions", site.name),
        findings.of("importance", site.name),
        findings.of("forest", site.name),
        _title(site),
    )


def _ranking(findings: Findings) -> Figure | None:
    importance = findings.of("importance")
    if importance is None or importance["area"].nunique() < 2:
        return None  # the ranks of one area are 1, 2, 3 …: its importance says more
    return figures_drivers.ranking(_of(findings, "ranking"), importance)


OF_AN_AREA = (
    Sketch(
        "maps",
        "The index of each epoch",
        "Maps of RSEI from 0, poor, in sand colour to 1, excellent, in deep green, one an epoch.",
        (),
        lambda findings, site: figures_index.maps(site),
        pictures=True,
    ),
    Sketch(
        "loadings",
        "How the index is made",
        "Bars: loading of each indicator on the first component, and what components explain.",
        ("pca",),
        lambda findings, site: figures_index.loadings(_of(findings, "pca", site), _title(site)),
    ),
    Sketch(
        "exclusions",
        "Pixels used and left out",
        "Bars: share of the area's pixels that were used, or left out for each reason.",
        ("exclusions", "pca"),
        lambda findings, site: figures_index.lost_pixels(
            _of(findings, "exclusions", site), _of(findings, "pca", site), _title(site)
        ),
    ),
    Sketch(
        "change",
        "Change from the first to the last epoch",
        "Map of the difference of RSEI: magenta for a loss, green for a gain.",
        (),
        _change,
        pictures=True,
    ),
    Sketch(
        "series",
        "Mean index over time",
        "Lines: mean RSEI of the area, its mines and the rest, by epoch.",
        ("series",),
        _series,
    ),
    Sketch(
        "grades",
        "Five grades over time",
        "Bars: share of the area from poor to excellent, by epoch.",
        ("grades",),
        lambda findings, site: figures_zones.grades(_of(findings, "grades", site), _title(site)),
    ),
    Sketch(
        "latitude",
        "The index by latitude",
        "Lines: mean RSEI by latitude at the first and last epoch; bars: mines in each bin.",
        ("latitude",),
        lambda findings, site: figures_zones.latitude(
            _of(findings, "latitude", site), _title(site)
        ),
    ),
    Sketch(
        "densities",
        "Distribution of the index",
        "Densities of RSEI, one above the other by epoch.",
        ("densities",),
        lambda findings, site: figures_zones.ridgelines(
            _of(findings, "densities", site), title=_title(site)
        ),
    ),
    Sketch(
        "overview",
        "Space and time at a glance",
        "Maps of the first and last epoch, profile by latitude, mines by latitude if there are "
        "any, densities.",
        ("latitude", "densities"),
        lambda findings, site: figures_zones.overview_of(
            site, _of(findings, "latitude", site), _of(findings, "densities", site)
        ),
        pictures=True,
    ),
    Sketch(
        "classes",
        "Ten classes, and mines against the area",
        "Maps in ten classes at the first and last epoch; below, densities of mines and area.",
        (),
        _classes,
        pictures=True,
    ),
    Sketch(
        "insets",
        "The largest mines",
        "True colour of the largest mines above their RSEI.",
        (),
        _insets,
        pictures=True,
    ),
    Sketch(
        "contrast",
        "Mines against the area",
        "Mean RSEI of mines and area by epoch, and bubbles as large as their difference.",
        ("contrast",),
        lambda findings, site: figures_mines.contrast(
            _of(findings, "contrast", site), _title(site)
        ),
    ),
    Sketch(
        "rings",
        "The index by distance to the mines",
        "Mean RSEI in rings around the mines by epoch, with the fitted curve and its band.",
        ("rings",),
        _rings,
    ),
    Sketch(
        "sizes",
        "The index by size of the mines",
        "Boxes of the mines' mean RSEI by size class and epoch.",
        ("size_classes",),
        lambda findings, site: figures_mines.sizes(
            _of(findings, "size_classes", site), _title(site)
        ),
    ),
    Sketch(
        "drivers",
        "Maps of the drivers",
        "Maps of RSEI and of each driver on the drivers' grid.",
        ("drivers",),
        _driver_maps,
        pictures=True,
    ),
    Sketch(
        "explained",
        "What explains the index",
        "Correlation with each driver, observed against predicted, and importance in the forest.",
        ("correlation",),
        _explained,
    ),
)
"""Figures of each area, in the order in which a reader wants them."""

OF_THE_RUN = (
    Sketch(
        "locator",
        "Where the areas lie",
        "Outlines of the areas on a net of degrees, with the tiles of the images.",
        (),
        lambda findings: (
            figures_study.locator(findings.sites)
            if any(site.outline is not None for site in findings.sites)
            else None
        ),
    ),
    Sketch(
        "flow",
        "What is done",
        "The steps from images to index, with the settings of this run.",
        (),
        lambda findings: figures_study.flow(findings.settings, findings.products),
    ),
    Sketch(
        "coverage",
        "Data coverage",
        "A row a product and tile, a column a date: composites present, missing or damaged.",
        ("coverage",),
        lambda findings: figures_index.coverage(_of(findings, "coverage")),
    ),
    Sketch(
        "areas",
        "Every area at the last epoch",
        "Maps of RSEI of every area at its last epoch.",
        (),
        lambda findings: (
            figures_zones.small_multiples(findings.sites) if len(findings.sites) > 1 else None
        ),
        pictures=True,
    ),
    Sketch(
        "ranking",
        "Drivers over all areas",
        "Bars: sum of each driver's ranks; dots: its rank in each area.",
        ("ranking", "importance"),
        _ranking,
    ),
)
"""Figures of the whole run."""


def of_an_area(findings: Findings, site: Site, kinds: Sequence[str] = KINDS) -> Iterator[Drawn]:
    """The figures that the tables of an area allow."""
    for sketch in OF_AN_AREA:
        if all(findings.has(name, site.name) for name in sketch.needs):
            yield from _drawn(sketch, sketch.draw(findings, site), kinds)  # type: ignore[call-arg]


def of_the_run(findings: Findings, kinds: Sequence[str] = KINDS) -> Iterator[Drawn]:
    """The figures that the tables of the run allow."""
    for sketch in OF_THE_RUN:
        if all(findings.has(name) for name in sketch.needs):
            yield from _drawn(sketch, sketch.draw(findings), kinds)  # type: ignore[call-arg]


def _drawn(sketch: Sketch, drawing: Figure | None, kinds: Sequence[str]) -> Iterator[Drawn]:
    if drawing is not None:
        yield Drawn(sketch, {kind: saved(drawing, kind) for kind in kinds})
