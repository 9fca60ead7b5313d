# SPDX-License-Identifier: Apache-2.0
"""What a random forest is asked for; apart, so that reading a study needs no scikit-learn."""

from typing import Annotated

from pydantic import Field

from ..sources.settings import Settings

Trees = Annotated[int, Field(ge=1, le=100_000)]
"""A number of trees."""

Tried = Annotated[int, Field(ge=1, le=10)]
"""A number of drivers tried at a node: there are ten."""


class ForestSettings(Settings):
    """The random forest that ranks the drivers."""

    trees: Trees = 1000
    """Number of trees."""
    mtry: Tried = 3
    """Drivers tried at each split."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the pixels kept for validation."""
    sample: Annotated[int, Field(ge=100)] | None = None
    """Most pixels to train and validate on, drawn at random: for areas as large as a nation."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Seed of every random choice: sample, split, trees, permutations and folds."""
    tuning_mtry: tuple[Tried, ...] = (2, 3, 4, 5)
    """Drivers tried at each split, in the table of out-of-bag errors; none for no table."""
    tuning_trees: tuple[Trees, ...] = (100, 250)
    """Numbers of trees in that table."""
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Folds of the cross-validation by spatial blocks."""
    block: Annotated[float, Field(gt=0)] = 10_000
    """Side of a block, m."""
    block_trees: Trees = 200
    """Most trees of each of its forests, whose R2 no longer moves by then."""
    shap: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Pixels whose SHAP values are made: about 0.3 s each of 1000 trees; needs the extra shap."""
