# SPDX-License-Identifier: Apache-2.0
"""Which way PC1 points: the verdict of every rule, and where they disagree.

The sign of an eigenvector is arbitrary. A verdict is on the whole vector, kept or flipped;
single coefficients are never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .pca import Vector

Rule = Literal["expected", "ndvi", "heat", "reference", "none"]

RULES: tuple[Rule, ...] = ("expected", "ndvi", "heat", "reference", "none")

EXPECTED: Vector = np.array([1.0, 1.0, -1.0, -1.0])
"""Signs that ecology expects of NDVI, wetness, NDBSI and LST, called e."""

CLEAR = 0.5
"""|v . e| under which the expected signs say little; it is 2 at most."""

NDVI, LST = 0, 3


@dataclass(frozen=True)
class Verdict:
    """What one rule says of the canonical PC1 of one epoch."""

    sign: int
    """1 to keep the canonical vector, -1 to flip it."""

    margin: float
    """How clearly: the quantity, of the canonical vector, that speaks for keeping it. ``expected``
    v . e, whose sign is another than the verdict's where the area overrules the epoch; ``ndvi`` and
    ``heat`` the loading, of LST with its sign turned; ``reference`` the correlation with the
    reference as it points; NaN for ``none``."""


@dataclass(frozen=True)
class Directions:
    """The verdicts of every rule on one epoch."""

    verdicts: Mapping[str, Verdict]
    """By rule."""

    v_dot_e: float
    """v . e of the canonical vector."""

    own: int
    """The sign that this epoch would have by itself, sign(v . e)."""

    named: bool
    """Whether the settings name a reference epoch, whose verdict then counts."""

    @property
    def agreement(self) -> bool:
        """Whether the rules agree: expected, ndvi, heat, and reference where one is named."""
        rules = ["expected", "ndvi", "heat", *(["reference"] if self.named else [])]
        return len({self.verdicts[rule].sign for rule in rules}) == 1

    def warnings(self) -> list[str]:
        """What a reader must know before trusting the direction."""
        found = []
        if not self.agreement:
            signs = ", ".join(
                f"{rule} {'keeps' if self.verdicts[rule].sign > 0 else 'flips'}"
                for rule in RULES[:4]
            )
            found.append(f"the direction rules disagree on PC1: {signs}")
        if abs(self.v_dot_e) < CLEAR:
            found.append(
                f"|v . e| is {abs(self.v_dot_e):.3f}, under {CLEAR}: the loadings do not have the "
                "expected signs, and the direction of RSEI is uncertain"
            )
        if self.own != self.verdicts["expected"].sign:
            found.append(
                "this epoch by itself would point the other way than the area's epochs together"
            )
        return found


def directions(
    vectors: Mapping[int, Vector],
    reference: int | None = None,
    correlations: Mapping[int, float] | None = None,
) -> dict[int, Directions]:
    """The verdicts on the canonical PC1 of each epoch of one area.

    ``correlations`` are those of each epoch's component, along the canonical vector, with the
    reference epoch's, over the pixels valid in both (``rsei.Agreement``). Without them the rule
    ``reference`` goes by the scalar product of the loadings. Without a ``reference`` it takes the
    epoch of largest |v . e|. The reference epoch itself points as ``expected``.
    """
    products = {epoch: float(vector @ EXPECTED) for epoch, vector in vectors.items()}
    expected = _aligned(vectors, products)
    anchor = _clearest(products) if reference is None else reference
    found = {}
    for epoch, vector in vectors.items():
        likeness = float(vector @ vectors[anchor])
        if correlations is not None and epoch in correlations:
            likeness = correlations[epoch]
        likeness *= expected[anchor]
        verdicts = {
            "expected": Verdict(expected[epoch], products[epoch]),
            "ndvi": Verdict(_sign(vector[NDVI]), float(vector[NDVI])),
            "heat": Verdict(_sign(-vector[LST]), -float(vector[LST])),
            "reference": Verdict(_sign(likeness), likeness),
            "none": Verdict(1, float("nan")),
        }
        named = reference is not None
        found[epoch] = Directions(verdicts, products[epoch], _sign(products[epoch]), named)
    return found


def _aligned(vectors: Mapping[int, Vector], products: Mapping[int, float]) -> dict[int, int]:
    """The sign of each epoch by the rule ``expected``: of one area, together.

    Epoch by epoch a city would be inverted against itself where v . e is near zero.
    """
    anchor = vectors[_clearest(products)]
    signs = {epoch: _sign(float(vector @ anchor)) for epoch, vector in vectors.items()}
    total = sum(signs[epoch] * product for epoch, product in products.items())
    return {epoch: sign * _sign(total) for epoch, sign in signs.items()}


def _clearest(products: Mapping[int, float]) -> int:
    """The epoch of largest |v . e|; of equals, the earliest."""
    return max(sorted(products), key=lambda epoch: abs(products[epoch]))


def _sign(number: float) -> int:
    return 1 if number >= 0 else -1
