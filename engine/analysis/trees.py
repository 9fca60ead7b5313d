# SPDX-License-Identifier: Apache-2.0
"""A grown forest as plain arrays: it predicts, is saved without pickle, and forgets its maker."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...kernels import trees as walks
from ...kernels.launch import cores
from ..sources.errors import InputError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Put = Callable[[NDArray[Any]], Any]
"""Carries an array to where it is calculated with, as ``numpy.asarray`` does or ``cupy.asarray``;
one that has a ``room`` says how many bytes may be there at a time."""

FORMAT = 1
"""Version of the saved arrays."""

SPLIT = 4
"""Fewest distinct rows of a node that is split.

R splits nodes of more than 5 draws, repeats counted; 6 draws are 3.8 distinct rows on average.
"""

BALLOT = 1 << 26
"""Votes that are taken at a time: each says in a byte whether a tree is asked of a row."""

ROW = 16
"""Bytes of a row's sum of votes and their number."""


def room(put: Put, most: int) -> int:
    """Bytes that what ``put`` carries may take: ``most``, or less where it has less room."""
    return min(most, int(getattr(put, "room", most)))


@dataclass(frozen=True)
class Trees:
    """Regression trees over named drivers."""

    drivers: tuple[str, ...]
    """Names of the columns of the drivers, in their order."""

    nodes: NDArray[np.int64]
    """Nodes of all trees, (M,), as :mod:`rsei.kernels.trees` packs them."""

    roots: NDArray[np.int64]
    """First node of each tree, (T,)."""

    low: float
    """Lowest value of the target: leaves count from it."""

    step: float
    """Step of the leaves, in units of the target."""

    purity: Floats
    """IncNodePurity of each driver, (K,): what its splits take off the squared error, per tree."""

    @property
    def count(self) -> int:
        """Number of trees."""
        return self.roots.size

    def steps(self, target: NDArray[Any]) -> NDArray[np.int32]:
        """``target`` in steps of the leaves, cut to twice their range on either side."""
        steps = np.rint((np.asarray(target, np.float64) - self.low) / self.step)
        # A row that the trees have not learnt from may lie outside; its error stays an int32.
        return np.clip(steps, -(walks.STEPS >> 1), walks.STEPS + (walks.STEPS >> 1)).astype(
            np.int32
        )

    def predict(
        self, values: NDArray[Any], voters: Flags | None = None, put: Put = np.asarray
    ) -> Floats:
        """Mean of the trees' leaves, (n,), for drivers (n, K); NaN where no tree votes.

        Tree t votes on row i where ``voters``, (T, n), is true; by default everywhere.
        """
        total, votes = np.zeros((2, len(values)), np.int64)
        half = getattr(put, "room", 2 * self.nodes.nbytes) // 2  # for nodes, and as much for rows
        for some in self.groups(half):
            self._add_votes(some, values, voters, put, (total, votes))
        mean = np.full(len(values), np.nan)
        np.divide(total.astype(np.float64), votes, out=mean, where=votes > 0)
        return self.low + mean * self.step

    def _add_votes(
        self,
        some: slice,
        values: NDArray[Any],
        voters: Flags | None,
        put: Put,
        total: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        """Add to each row's sum, and to their number, the votes of ``some`` trees."""
        nodes, roots = map(put, self.among(some))
        size = roots.size + 4 * values.shape[1] + 2 * ROW
        rows = max(1, (room(put, 2 * BALLOT) // 2 - roots.nbytes) // size)
        for part in (slice(first, first + rows) for first in range(0, len(values), rows)):
            keys = walks.sortable(np.ascontiguousarray(values[part], np.float32))
            every = np.ones((roots.size, len(keys)), bool)
            asked = every if voters is None else np.ascontiguousarray(voters[some, part])
            added = [put(np.zeros(len(keys), np.int64)) for _ in total]
            walks.vote(nodes, roots, put(keys), put(asked), *added)
            for one, more in zip(total, added, strict=True):
                one[part] += np.array(more.tolist(), np.int64)

    def groups(self, size: int, most: int | None = None) -> Iterator[slice]:
        """Trees that follow each other: ``most`` at a time, of ``size`` bytes; at least one."""
        ends, first = np.append(self.roots[1:], self.nodes.size), 0
        while first < self.count:
            fitting = int(np.searchsorted(ends, self.roots[first] + size // 8, side="right"))
            last = max(first + 1, min(fitting, first + (most or self.count)))
            yield slice(first, last)
            first = last

    def among(self, some: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Nodes and roots of trees that follow each other."""
        roots = self.roots[some]
        end = self.roots[some.stop] if some.stop < self.count else self.nodes.size
        return self.nodes[roots[0] : end], roots - roots[0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, as arrays for ``numpy.savez``; nothing of it needs pickle."""
        return {
            "format": np.array(FORMAT),
            "drivers": np.array(self.drivers),
            "nodes": self.nodes,
            "roots": self.roots,
            "scale": np.array([self.low, self.step]),
            "purity": self.purity,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The forest that :meth:`arrays` gave. Raises InputError for anything else."""
        if missing := {"format", "drivers", "nodes", "roots", "scale", "purity"} - set(arrays):
            raise InputError(f"expected a forest of this program, found no {sorted(missing)} in it")
        found = arrays["format"].tolist()
        if found != FORMAT:
            raise InputError(f"expected a forest of format {FORMAT}, found {found}; grow it again")
        names = tuple(str(name) for name in arrays["drivers"].ravel())
        scale, purity = arrays["scale"], arrays["purity"]
        numbers = scale.shape == (2,) and purity.shape == (len(names),) and np.isfinite(scale).all()
        if not numbers or not walkable(arrays["nodes"], arrays["roots"], len(names)):
            raise InputError("expected a forest of this program, found one that is damaged")
        low, step = scale.tolist()
        return cls(names, arrays["nodes"], arrays["roots"], low, step, purity)


def walkable(nodes: NDArray[Any], roots: NDArray[Any], drivers: int) -> bool:
    """Whether every walk down the trees asks for one of the drivers, goes on, and ends in a leaf.

    The kernels believe it: else a file could send them anywhere in memory, or round for ever.
    """
    known = nodes.dtype == np.int64 == roots.dtype and nodes.ndim == 1 == roots.ndim
    if not known or not roots.size or roots[0] != 0 or (np.diff(roots) < 1).any():
        return False
    ends = np.append(roots[1:], nodes.size)
    if ends[-1] <= roots[-1]:
        return False
    sizes = ends - roots
    place, size = np.arange(nodes.size) - np.repeat(roots, sizes), np.repeat(sizes, sizes)
    links = nodes & walks.LEAF
    right, driver = links >> walks.FEATURE_BITS, links & walks.LOW_BYTE
    inner = links != walks.LEAF
    forward = (right > place + 1) & (right < size) & (driver < drivers)
    return bool(forward[inner].all())


def grown(
    drivers: tuple[str, ...],
    values: NDArray[np.float32],
    target: Floats,
    trees: int,
    mtry: int,
    seed: int,
) -> tuple[Trees, Flags]:
    """Trees grown on the rows of ``values``, (n, K), and which rows each has not drawn, (T, n).

    Source of the rule: Breiman 2001; n rows drawn with replacement for each tree, ``mtry`` drivers
    tried at each node.
    """
    from sklearn.ensemble import RandomForestRegressor  # a second to import; not all grow a forest

    engine = RandomForestRegressor(
        trees, max_features=mtry, min_samples_split=SPLIT, random_state=seed, n_jobs=cores()
    ).fit(values, target)
    low, high = float(target.min()), float(target.max())
    step = (high - low) / walks.STEPS or 1.0
    models = [estimator.tree_ for estimator in engine.estimators_]
    parts = [
        walks.packed(
            model.children_right,
            model.feature,
            model.threshold,
            np.rint((model.value[:, 0, 0] - low) / step).clip(0, walks.STEPS).astype(np.int32),
        )
        for model in models
    ]
    unseen = np.ones((trees, len(target)), bool)
    for tree, drawn in enumerate(engine.estimators_samples_):
        unseen[tree, drawn] = False
    roots = np.cumsum([0, *map(len, parts[:-1])], dtype=np.int64)
    purity = np.mean([_purity(model, len(drivers)) for model in models], axis=0)
    return Trees(drivers, np.concatenate(parts), roots, low, step, purity), unseen


def _purity(model: Any, drivers: int) -> Floats:
    """What the splits on each driver take off the squared error of one tree, (K,)."""
    error = model.impurity * model.weighted_n_node_samples
    inner = np.flatnonzero(model.children_left >= 0)
    gain = error[inner] - error[model.children_left[inner]] - error[model.children_right[inner]]
    return np.bincount(model.feature[inner], gain, minlength=drivers).astype(np.float64)


def of_treelite(drivers: tuple[str, ...], dump: str, low: float, high: float) -> Trees:
    """The trees of a Treelite model's JSON dump, as cuML gives it; their purity is unknown.

    ``low`` and ``high`` are the range of the target it was grown on. Raises InputError for a node
    that is no ``<=`` test.
    """
    step = (high - low) / walks.STEPS or 1.0
    parts = [_in_order(tree, low, step) for tree in json.loads(dump)["trees"]]
    roots = np.cumsum([0, *map(len, parts[:-1])], dtype=np.int64)
    unknown = np.full(len(drivers), np.nan)
    return Trees(drivers, np.concatenate(parts), roots, low, step, unknown)


def _in_order(tree: Mapping[str, Any], low: float, step: float) -> NDArray[np.int64]:
    """A Treelite tree's packed nodes, each left child after its parent."""
    nodes = {node["node_id"]: node for node in tree["nodes"]}
    order: list[int] = []
    waiting = [tree["nodes"][0]["node_id"]]  # the root comes first
    while waiting:
        node = nodes[waiting.pop()]
        order.append(node["node_id"])
        if "leaf_value" not in node:
            if node["comparison_op"] != "<=":
                raise InputError(f"expected tests of the kind <=, found {node['comparison_op']}")
            waiting += [node["right_child"], node["left_child"]]
    place = {name: n for n, name in enumerate(order)}
    leaves = [nodes[name].get("leaf_value", low) for name in order]
    return walks.packed(
        np.array([place.get(nodes[name].get("right_child"), -1) for name in order]),
        np.array([nodes[name].get("split_feature_id", -1) for name in order]),
        np.array([nodes[name].get("threshold", 0.0) for name in order], np.float64),
        np.rint((np.array(leaves, np.float64) - low) / step).clip(0, walks.STEPS).astype(np.int32),
    )
