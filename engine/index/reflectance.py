# SPDX-License-Identifier: Apache-2.0
"""Composite reflectance of observations in memory, with their labels."""

import xarray as xr

from ...kernels.launch import namespace
from ..sources.products import BANDS, products
from .composite import ReflectanceSum
from .quality import Policy

STANDARD = Policy()

DATES = 16
"""Dates held at a time: a season of eight-day composites."""


def composite(observations: xr.Dataset, policy: Policy = STANDARD) -> xr.Dataset:
    """Mean surface reflectance of each band, 0 to 1, (y, x) float32, and ``count_`` of each.

    ``observations`` has stored integers as in MOD09A1, (time, y, x): ``red nir blue green nir2
    swir1 swir2`` int16, ``state`` uint16 and ``qc`` uint32; dates may come in any order. A band
    is NaN where no date passes the policy. Raises InputError for a layer of another type.
    """
    ordered = observations[[*BANDS, "state", "qc"]].transpose("time", ...)
    like = ordered["red"].isel(time=0, drop=True)
    total = ReflectanceSum((like.shape[0], like.shape[1]), policy)
    for first in range(0, ordered.sizes["time"], DATES):
        some = ordered.isel(time=slice(first, first + DATES)).compute()
        layers = [some[name].data for name in BANDS]
        total.add(namespace(*layers).stack(layers, axis=1), some["state"].data, some["qc"].data)
    partial = total.partial()
    means = partial.mean([products()["MOD09A1"].layer(name).scale for name in BANDS])
    found = {}
    for b, name in enumerate(BANDS):
        found[name] = (like.dims, means[b])
        found[f"count_{name}"] = (like.dims, partial.counts[b])
    return xr.Dataset(found, coords=like.coords)
