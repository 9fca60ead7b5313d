# SPDX-License-Identifier: Apache-2.0
"""Whose pixels set the limits and the loadings: one epoch's, all epochs', a table's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import model_validator

from ..sources.errors import StudyError
from ..sources.settings import Settings
from .directions import Rule

Scope = Literal["epoch", "pooled", "fixed", "reference"]

Group = tuple[int, ...]
"""Epochs whose pixels set a limit together; none where a table sets it."""

RSEI0 = "rsei0"
"""The component before the final scale, also as a row of a table of limits."""


class RseiSettings(Settings):
    """How four indicators become one index."""

    limits: Literal["minmax"] | tuple[float, float] = "minmax"
    """What becomes 0 and 1: least and greatest value, or two percentiles such as [1, 99]."""
    normalisation: Scope = "epoch"
    """Whose pixels set the limits: the epoch's, all epochs', a table's, or the reference's."""
    pca: Scope = "epoch"
    """Whose pixels set the loadings, likewise."""
    direction: Rule = "expected"
    """Which rule gives PC1 its sign."""
    reference: int | None = None
    """The epoch that scope and direction ``reference`` mean."""
    limits_table: str | None = None
    """CSV with indicator,min,max for ``normalisation = "fixed"``; a row rsei0 fixes that scale too,
    which else pools the run's epochs."""
    loadings_table: str | None = None
    """CSV with indicator,loading for ``pca = "fixed"``."""

    @model_validator(mode="after")
    def _complete(self) -> "RseiSettings":
        if self.limits != "minmax" and not 0 <= self.limits[0] < self.limits[1] <= 100:
            raise ValueError(f"expected limits = [low, high] in 0...100, found {[*self.limits]}")
        asked = (self.normalisation, self.pca, self.direction)
        if "reference" in asked and self.reference is None:
            raise ValueError("expected reference = an epoch, as scope or direction ask for one")
        if self.normalisation == "fixed" and self.limits_table is None:
            raise ValueError('expected limits_table = "limits.csv" for normalisation = "fixed"')
        if self.pca == "fixed" and self.loadings_table is None:
            raise ValueError('expected loadings_table = "loadings.csv" for pca = "fixed"')
        return self

    @property
    def percentages(self) -> tuple[float, float] | None:
        """The two percentiles that limit, or None for least and greatest value."""
        return None if self.limits == "minmax" else self.limits


@dataclass(frozen=True)
class FixedTables:
    """The tables that scopes ``fixed`` go by, as read."""

    limits: Mapping[str, tuple[float, float]]
    """Values that become 0 and 1, by indicator; ``rsei0`` besides, or not."""

    loadings: Mapping[str, float]
    """PC1 by indicator; any length, as it is scaled to 1."""


NO_TABLES = FixedTables({}, {})


def groups(settings: RseiSettings, epochs: Sequence[int]) -> dict[int, Group]:
    """For each epoch the epochs whose pixels set the limits of its indicators.

    Raises StudyError where the reference is none of ``epochs``.
    """
    every = tuple(sorted(epochs))
    if settings.reference is not None and settings.reference not in every:
        raise StudyError(
            f"expected rsei.reference among the epochs {', '.join(map(str, every))}, found "
            f"{settings.reference}"
        )
    shared: dict[str, Group] = {
        "pooled": every,
        "fixed": (),
        "reference": (settings.reference or 0,),
    }
    return {epoch: shared.get(settings.normalisation, (epoch,)) for epoch in every}


def final_groups(
    settings: RseiSettings, epochs: Sequence[int], tables: FixedTables = NO_TABLES
) -> dict[int, Group]:
    """For each epoch the epochs whose RSEI0 sets the final scale: as of the indicators.

    Where a table fixes the indicators but has no row ``rsei0``, all epochs do.
    """
    if settings.normalisation == "fixed" and RSEI0 not in tables.limits:
        return dict.fromkeys(sorted(epochs), tuple(sorted(epochs)))
    return groups(settings, epochs)
