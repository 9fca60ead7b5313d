# SPDX-License-Identifier: Apache-2.0
"""Tables of a run and of the index itself."""

from .columns import AREA, EPOCH, N, Table, count, flag, measured, number, text

UNITS = {"ndvi": "", "wet": "", "ndbsi": "", "lst": "K"}
"""The four indicators, and the unit of each."""

OF_THE_RUN = (
    Table(
        "coverage",
        "Composites that the season should have, and what became of them",
        ("product", "date", "tile"),
        (
            text("product", "Product"),
            text("date", "First day of the period, ISO 8601"),
            text("tile", "Tile, or name of the grid"),
            text("status", "present, missing or bad"),
        ),
    ),
    Table(
        "quality",
        "Pixel-dates lost to each rule of the quality policy",
        ("tile", "year", "product", "reason"),
        (
            text("tile", "Tile, or name of the grid"),
            count("year", "Year of the season"),
            text("product", "Product, or role, of the granules"),
            text("reason", "Layer and field that were not accepted"),
            count("n", "Pixel-dates lost"),
        ),
    ),
)

OF_THE_INDEX = (
    Table(
        "pca",
        "Principal components of the four indicators: how the index of an epoch is made",
        ("area", "epoch"),
        (
            AREA,
            EPOCH,
            text("normalisation", "Scope of the indicators' limits"),
            text("pca", "Scope of the components"),
            N,
            *(measured(name, f"Loading of {name} on PC1, unit norm, as used") for name in UNITS),
            *(measured(f"pc{i}", f"Contribution of PC{i}", "%") for i in range(1, 5)),
            text("direction", "Rule that chose the sign"),
            flag("flipped", "Turned against the vector whose largest component is positive"),
            flag("agreement", "Whether every rule chooses this sign"),
            measured("v_dot_e", "Product of the loadings and the expected signs"),
            *(
                measured(f"{name}_{side}", f"{name} that becomes {value}", unit)
                for name, unit in UNITS.items()
                for side, value in (("min", 0), ("max", 1))
            ),
            measured("rsei0_min", "PC1 that becomes RSEI 0"),
            measured("rsei0_max", "PC1 that becomes RSEI 1"),
        ),
    ),
    Table(
        "directions",
        "What each rule says of the sign of PC1",
        ("area", "epoch", "rule"),
        (
            AREA,
            EPOCH,
            text("rule", "Rule of the direction"),
            count("sign", "1 keeps the canonical vector, -1 turns it", blank=True),
            measured("margin", "How clearly: the quantity whose sign decides"),
        ),
    ),
    Table(
        "exclusions",
        "Pixels of an area's rectangle that do not enter, by the first reason that applies",
        ("area", "epoch", "reason"),
        (AREA, EPOCH, text("reason", "Why"), N),
    ),
    Table(
        "view_time",
        "Local solar time of day at which the heat was seen: it falls as Terra's orbit drifts",
        ("area", "epoch"),
        (
            AREA,
            EPOCH,
            count("n", "Pixel-dates of 1 km with a temperature, in the area's rectangle"),
            number("hour", "Their mean local solar time", "h"),
        ),
    ),
    Table(
        "extremes",
        "The pixels that set the limits",
        ("area", "epoch", "layer", "side"),
        (
            AREA,
            EPOCH,
            text("layer", "Indicator, or rsei0"),
            text("side", "min or max"),
            measured("value", "Its value, in the layer's unit"),
            measured("x", "x of the pixel's centre, in the CRS of the rasters"),
            measured("y", "y of the pixel's centre, in the CRS of the rasters"),
            measured("lon", "Longitude of the pixel's centre", "degrees"),
            measured("lat", "Latitude of the pixel's centre", "degrees"),
        ),
    ),
)
