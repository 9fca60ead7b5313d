# SPDX-License-Identifier: Apache-2.0
"""How many of the images were clear where an area lies."""

from collections.abc import Sequence

import numpy as np

from ..sources.products import products
from ..sources.rasterfiles import opened_tiff
from .alongside import alongside
from .findings import Findings, Site

ROLES = {"red": "reflectance", "ndvi": "greenness", "lst": "heat"}
"""What is counted: a layer of the composites, and the role of the products that it is made of."""

Clear = tuple[str, str, list[tuple[float, float] | None]]
"""Area, epoch, and of each layer the mean number of clear observations and their share."""


def clear_shares(findings: Findings) -> list[Clear]:
    """Clear observations of each area and epoch; none of a layer that comes from elsewhere."""
    possible = _composites(findings, sorted({e for site in findings.sites for e in site.epochs}))
    maps = [(site, epoch) for site in findings.sites for epoch in site.epochs]
    found = []
    for (site, epoch), means in zip(maps, alongside(lambda one: _means(*one), maps)):
        cells = [
            (mean, mean / most)
            if (mean := means.get(layer)) is not None and (most := possible.get((epoch, role)))
            else None
            for layer, role in ROLES.items()
        ]
        if any(cells):
            found.append((site.name, str(epoch), cells))
    return found


def _means(site: Site, epoch: int) -> dict[str, float]:
    """Mean count of clear observations where the epoch has a map, of each layer that has counts.

    Exactly that of every pixel: of many tiles too, which a figure would show coarser.
    """
    composites = {path.name: path for path in site.files("composites", epoch)}
    sums, inside, known = dict.fromkeys(ROLES, 0.0), 0, set[str]()
    for path in site.files("rsei", epoch):
        if path.name not in composites:
            continue
        with opened_tiff(path, placed=False) as dataset:
            mapped = np.isfinite(dataset.read(1))
        inside += int(mapped.sum())
        with opened_tiff(composites[path.name], placed=False) as dataset:
            names = list(dataset.descriptions)
            for layer in ROLES:
                if (name := f"count_{layer}") in names:
                    counts = dataset.read(names.index(name) + 1)
                    known |= {layer} if np.isfinite(counts).any() else set()
                    sums[layer] += float(counts[mapped].sum(dtype=np.float64))
    return {layer: sums[layer] / max(1, inside) for layer in ROLES if layer in known}


def _composites(findings: Findings, epochs: Sequence[int]) -> dict[tuple[int, str], float]:
    """Composites of each epoch's years and each role that are there, as a tile has on average."""
    table = findings.of("coverage")
    if table is None:
        return {}
    reach = findings.settings["granules"]["reach"]
    table = table[table["status"] == "present"]
    years, tiles = table["date"].str[:4].astype(int).to_numpy(), table["tile"].to_numpy(str)
    found = {}
    for role in ROLES.values():
        names = [name for name, product in products().items() if product.role == role]
        of_role = table["product"].isin(names).to_numpy()
        for epoch in epochs:
            near = of_role & (np.abs(years - epoch) <= reach)
            found[epoch, role] = float(near.sum()) / max(1, len(np.unique(tiles[near])))
    return found
