# SPDX-License-Identifier: Apache-2.0
"""A forest grown by cuML on a GPU, as the same arrays as one grown on the CPU.

Not proven here: no GPU was at hand. What can be checked without one, is: the reading of the
Treelite dump, and that a forest without a record of its draws gives the same tables.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .trees import SPLIT, Floats, Trees, of_treelite

DEEPEST = 64
"""Deepest node: cuML grows no tree without a limit, and R's trees of a city are 20 to 30 deep."""

BINS = 256
"""Values of a driver at which cuML tries to split a node: it sorts them into a histogram."""


def grown_on_gpu(
    drivers: tuple[str, ...],
    values: NDArray[np.float32],
    target: Floats,
    trees: int,
    mtry: int,
    seed: int,
) -> tuple[Trees, None]:
    """Trees of cuML, and None: it keeps no record of the rows that each tree has not drawn.

    So importance is judged by held-out rows, and IncNodePurity is unknown. Raises ImportError
    where cuML is not installed: the extra ``rapids`` brings it.
    """
    from cuml.ensemble import RandomForestRegressor

    engine: Any = RandomForestRegressor(
        n_estimators=trees,
        max_features=mtry / len(drivers),
        min_samples_split=SPLIT,
        max_depth=DEEPEST,
        n_bins=BINS,
        n_streams=1,  # more make it depend on chance, whatever the seed
        random_state=seed,
    )
    engine.fit(values, target.astype(np.float32))
    dump = engine.as_treelite().dump_as_json()
    return of_treelite(drivers, dump, float(target.min()), float(target.max())), None
