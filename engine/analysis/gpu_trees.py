# SPDX-License-Identifier: Apache-2.0
"""A forest grown by cuML on a GPU, as the same arrays as one grown on the CPU.

Not proven here: no GPU was at hand. What can be checked without one, is: that cuML's estimator is
asked for what it knows, that a Treelite model becomes the same trees, and that a forest without a
record of its draws gives the same tables.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .trees import Floats, Trees, of_treelite

DRAWS = 6
"""Fewest draws of a node that is split, repeats counted, as cuML and R count them: R's own rule.

Source: cuML 26.10, ``Builder::IsExpandable``; R, randomForest 4.7: ``nodesize`` 5.
"""

DEEPEST = 64
"""Deepest node: cuML grew no tree without a limit until 26.4; R's of a city are 20 to 30 deep."""

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
        min_samples_split=DRAWS,
        max_depth=DEEPEST,
        n_bins=min(BINS, len(values)),  # it warns of more bins than rows
        n_streams=1,  # before 25.10 results depended on chance with more, whatever the seed
        random_state=seed,
    )
    engine.fit(values, target.astype(np.float32))
    dump = engine.as_treelite().dump_as_json()
    return of_treelite(drivers, dump, float(target.min()), float(target.max())), None
