# SPDX-License-Identifier: Apache-2.0
"""How many of the images were clear where an area lies."""

import numpy as np

from ..sources.products import products
from .findings import Findings, Site

ROLES = {"red": "reflectance", "ndvi": "greenness", "lst": "heat"}
"""What is counted: a layer of the composites, and the role of the products that it is made of."""

Clear = tuple[str, str, list[tuple[float, float] | None]]
"""Area, epoch, and of each layer the mean number of clear observations and their share."""


def clear_shares(findings: Findings) -> list[Clear]:
    """Clear observations of each area and epoch; none of a layer that comes from elsewhere."""
    return [
        (site.name, str(epoch), cells)
        for site in findings.sites
        for epoch in site.epochs
        if any(cells := [_clear(findings, site, epoch, layer) for layer in ROLES])
    ]


def _clear(findings: Findings, site: Site, epoch: int, layer: str) -> tuple[float, float] | None:
    possible = _composites(findings, epoch, ROLES[layer])
    counts = site.band(epoch, f"count_{layer}")
    if not possible or counts is None:
        return None
    inside = counts.values[np.isfinite(site.rsei(epoch).values)]
    mean = float(inside.mean()) if inside.size else 0.0
    return mean, mean / possible


def _composites(findings: Findings, epoch: int, role: str) -> float:
    """Composites of the epoch's years that are there, as a tile has them on average."""
    table = findings.of("coverage")
    if table is None:
        return 0.0
    reach = findings.settings["granules"]["reach"]
    names = {name for name, product in products().items() if product.role == role}
    near = (table["date"].str[:4].astype(int) - epoch).abs() <= reach
    rows = table[near & table["product"].isin(names) & (table["status"] == "present")]
    return len(rows) / max(1, rows["tile"].nunique())
