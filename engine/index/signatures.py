# SPDX-License-Identifier: Apache-2.0
"""Signatures of known mistakes in RSEI, looked for in every result."""

import math

import numpy as np

from .pca import Components, Normalised
from .summaries import INDICATORS, Summary

FEW = 100
"""Valid pixels under which a principal component means little."""

ONE_SIGN_SHARE = 90.0
"""Share of PC1, %, above which loadings of one sign point to a covariance that was not centred."""

FILL_NDVI = -0.3
"""NDVI of the product's fill, -3000 x 0.0001. Source: product table."""

SPREAD = 1e-6
"""Standard deviation, of normalised values, under which an indicator is as good as constant."""


def signatures(summary: Summary, normal: Normalised, pca: Components) -> list[str]:
    """What in an epoch's result looks like a known mistake, in words; most often nothing."""
    found = []
    if summary.count < FEW:
        found.append(f"only {summary.count} valid pixels, under {FEW}")
    if summary.count != summary.reasons["valid"]:
        found.append(
            f"the mask is not common to the indicators: {summary.count} pixels in the moments, "
            f"{summary.reasons['valid']} in the mask"
        )
    signs = np.sign(pca.first)
    if abs(signs.sum()) == len(signs) and pca.contributions[0] > ONE_SIGN_SHARE:
        found.append(
            f"all loadings have one sign and PC1 has {pca.contributions[0]:.1f} %, as when a "
            "covariance is not centred or fill stands in all four indicators"
        )
    for name, variance in zip(INDICATORS, np.diag(normal.covariance), strict=True):
        if math.sqrt(max(variance, 0)) < SPREAD:
            found.append(f"{name} is constant")
    return found + _fill(summary) + _water(summary)


def _fill(summary: Summary) -> list[str]:
    """Indicators whose limit is a value that stands for missing data."""
    found = []
    for name, low, high in zip(INDICATORS, summary.minima(), summary.maxima(), strict=True):
        if 0 in (low, high):
            found.append(f"{name} has a limit of exactly 0, as when nodata was filled with zeros")
    if np.float32(summary.minima()[0]) == np.float32(FILL_NDVI):
        found.append(f"ndvi has its product's fill, {FILL_NDVI}, as its least value")
    return found


def _water(summary: Summary) -> list[str]:
    if not summary.water_kept:
        return []
    share = 100 * summary.water_kept / max(1, summary.count)
    return [
        f"{summary.water_kept} valid pixels ({share:.1f} %) have MNDWI above 0: "
        "water may have been left in"
    ]
