# SPDX-License-Identifier: Apache-2.0
"""Seasonal sums of what may be used, exact in integers: years and tiles combine by addition."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...kernels.averaging import means
from ...kernels.launch import namespace
from ...kernels.layers import accumulate_layer
from ...kernels.quality import accumulate
from ..sources.errors import InputError
from ..sources.products import BANDS
from .quality import LayerRules, Policy

MOST = {1: 255, 2: 65535}
"""Dates that a count holds, by its bytes."""


@dataclass(frozen=True)
class Partial:
    """Sums and counts of the usable observations of some dates; partials of a window add."""

    names: tuple[str, ...]
    """What each layer is."""

    sums: Any
    """Sum of stored values, (B, h, w) int32."""

    counts: Any
    """Observations in the sum, (B, h, w) uint8; uint16 once partials were added."""

    observations: int
    """Dates that were offered."""

    losses: Mapping[str, int]
    """Pixel-dates lost to each reason: the first that applies of ``fill``, then the tested fields
    of each word in the order of their bits, then ``qc.all_bands``. A nibble (``qc.b1`` to ``b7``)
    and a valid range (``range.red``) cost their own band: they are counted for each band among
    the pixel-dates that are left; ``range.view_time`` among those whose temperature was used."""

    def __add__(self, other: Self) -> Self:
        """All dates of both. Raises ValueError where layers or windows differ."""
        mine, theirs = (self.names, self.sums.shape), (other.names, other.sums.shape)
        if mine != theirs:
            raise ValueError(f"expected a partial of {mine}, found {theirs}")
        dates = self.observations + other.observations
        if dates > MOST[2]:
            raise ValueError(f"expected at most {MOST[2]} dates, found {dates}")
        return type(self)(
            self.names,
            self.sums + other.sums,
            self.counts.astype(np.uint16) + other.counts,
            dates,
            _together(self.losses, other.losses),
        )

    def mean(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0) -> Any:
        """Mean in physical units, (B, h, w) float32, NaN where nothing was observed.

        ``scale`` and ``offset`` bring stored values to the unit: one for all layers or one each.
        """
        out = namespace(self.sums).empty(self.sums.shape, np.float32)
        scales, offsets = (np.broadcast_to(x, len(self.names)).tolist() for x in (scale, offset))
        for b in range(len(self.names)):
            sums, counts = self.sums[b].reshape(-1), self.counts[b].reshape(-1)
            means(sums, counts, scales[b], offsets[b], out[b].reshape(-1))
        return out


def _together(mine: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {name: mine.get(name, 0) + theirs.get(name, 0) for name in {**mine, **theirs}}


class _Sum:
    """What the sums of a product share: layers that grow as dates are added."""

    names: tuple[str, ...]

    def __init__(
        self, shape: tuple[int, int], policy: Policy, memory: NDArray[np.uint8] | None = None
    ) -> None:
        """Sums of a window of ``shape`` in ``memory``, ``room`` bytes, where dates are in NumPy."""
        self.shape = shape
        self.policy = policy
        self._memory = memory
        self.observations = 0
        self._lost: dict[tuple[str, ...], Any] = {}
        self._sums: Any = None
        self._counts: Any = None
        self._begun = False  # until then, what lies there is no sum

    @classmethod
    def room(cls, shape: tuple[int, int]) -> int:
        """Bytes of the sums and counts of a window."""
        return shape[0] * shape[1] * len(cls.names) * (np.int32().nbytes + np.uint8().nbytes)

    def _open(self, home: Any, *, cleared: bool = True) -> None:
        """Make room in the library where the first dates live; ``cleared`` begins with zeros."""
        if self._sums is None:
            shape = len(self.names), self.shape[0] * self.shape[1]
            if self._memory is None or home is not np:
                self._sums, self._counts = home.empty(shape, np.int32), home.empty(shape, np.uint8)
            else:
                self._sums = np.ndarray(shape, np.int32, self._memory)
                self._counts = np.ndarray(shape, np.uint8, self._memory, self._sums.nbytes)
        if cleared and not self._begun:
            self._sums[:] = 0
            self._counts[:] = 0
            self._begun = True

    def _take(self, layers: Mapping[str, tuple[Any, str]], *, cleared: bool = True) -> list[Any]:
        """The layers as (T, ..., N) of their own kind. Raises InputError where one cannot be."""
        dates = len(next(iter(layers.values()))[0])
        taken = [
            _flat(name, layer, kind, (dates, *self._inner(name), *self.shape))
            for name, (layer, kind) in layers.items()
        ]
        if self.observations + dates > MOST[1]:
            raise InputError(
                f"expected at most {MOST[1]} dates in one partial, found "
                f"{self.observations + dates}; make one a year and add them"
            )
        self._open(namespace(*taken), cleared=cleared)
        self.observations += dates
        return taken

    def _inner(self, name: str) -> tuple[int, ...]:
        """Axes between the dates and the pixels of a layer."""
        return ()

    def _lose(self, reasons: tuple[str, ...], lost: Any) -> None:
        """Count what was lost to each reason where it was found: no device is waited for."""
        self._lost[reasons] = self._lost[reasons] + lost if reasons in self._lost else lost

    @property
    def _losses(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for reasons, lost in self._lost.items():
            for reason, pixels in zip(reasons, lost.tolist(), strict=True):
                found[reason] += pixels
        return found

    def partial(self) -> Partial:
        """What was added so far; it shares its arrays with this sum."""
        self._open(np)
        shape = (len(self.names), *self.shape)
        return Partial(
            self.names,
            self._sums.reshape(shape),
            self._counts.reshape(shape),
            self.observations,
            dict(self._losses),
        )


class ReflectanceSum(_Sum):
    """Sums of seven bands over the dates of a window."""

    names = BANDS

    def __init__(
        self, shape: tuple[int, int], policy: Policy, memory: NDArray[np.uint8] | None = None
    ) -> None:
        super().__init__(shape, policy, memory)
        self._rules = policy.bands()

    def add(self, bands: Any, state: Any, qc: Any, *, other_order: bool = False) -> None:
        """Add T dates in any order: (T, 7, h, w) int16, (T, h, w) uint16 and (T, h, w) uint32.

        Bytes may be in either order, as NumPy's types say or, for CuPy, which has none for it,
        ``other_order``. Four dates a call, or more, are fastest.
        Raises InputError for a layer of another type or shape.
        """
        layers = {"bands": (bands, "i2"), "state": (state, "u2"), "qc": (qc, "u4")}
        fresh = len(bands) > 0 and not self._begun  # the kernel's first dates spare the zeros
        (stored, *words), other = _one_order(self._take(layers, cleared=not fresh), other_order)
        lost = accumulate(
            (stored, words[0], words[1]),
            self._rules.tables,
            self._sums,
            self._counts,
            other_order=other,
            fresh=fresh,
        )
        self._begun = True
        self._lose(self._rules.reasons, lost)

    def _inner(self, name: str) -> tuple[int, ...]:
        return (len(BANDS),) if name == "bands" else ()

    @property
    def _losses(self) -> Counter[str]:
        lost = super()._losses
        return Counter({name: lost[name] for name in lost if name not in self._rules.untested})


class GreennessSum(_Sum):
    """Sums of NDVI over the dates of a window."""

    names = ("ndvi",)

    def __init__(
        self, shape: tuple[int, int], policy: Policy, memory: NDArray[np.uint8] | None = None
    ) -> None:
        super().__init__(shape, policy, memory)
        self._rules = policy.ndvi()

    def add(self, ndvi: Any, vi: Any, reliability: Any, *, other_order: bool = False) -> None:
        """Add T dates in any order, (T, h, w) each: int16, uint16 and int8; either byte order.

        Raises InputError for a layer of another type or shape.
        """
        layers = {"ndvi": (ndvi, "i2"), "vi": (vi, "u2"), "reliability": (reliability, "i1")}
        (stored, *words), other = _one_order(self._take(layers), other_order)
        both = (stored, stored), (words[0], words[1])
        lost = _add_layer(*both, self._rules, self._sums[0], self._counts[0], other)
        self._lose(self._rules.reasons, lost[:-1])


class HeatSum(_Sum):
    """Sums of land surface temperature, and of the view time where the temperature was used."""

    names = ("lst", "view_time")

    def __init__(
        self, shape: tuple[int, int], policy: Policy, memory: NDArray[np.uint8] | None = None
    ) -> None:
        super().__init__(shape, policy, memory)
        self._rules = policy.lst(), policy.view_time()

    def add(self, lst: Any, lst_qc: Any, view_time: Any, *, other_order: bool = False) -> None:
        """Add T dates in any order, (T, h, w) each: uint16, uint8 and uint8; either byte order.

        Raises InputError for a layer of another type or shape.
        """
        layers = {"lst": (lst, "u2"), "lst_qc": (lst_qc, "u1"), "view_time": (view_time, "u1")}
        (gate, word, clock), other = _one_order(self._take(layers), other_order)
        words, (heat, seen) = (word, word), self._rules
        lost = _add_layer((gate, gate), words, heat, self._sums[0], self._counts[0], other)
        self._lose(heat.reasons, lost[:-1])
        timed = _add_layer((clock, gate), words, seen, self._sums[1], self._counts[1], other)
        self._lose(seen.reasons[-1:], lost[-1:] - timed[-1:])


def _add_layer(
    layers: tuple[Any, Any],
    words: tuple[Any, Any],
    policy: LayerRules,
    sums: Any,
    counts: Any,
    other_order: bool,
) -> Any:
    fills, table, ranges = policy.kernel
    rules = fills, namespace(*layers).asarray(table), ranges
    return accumulate_layer(layers, words, rules, sums, counts, other_order)


def _flat(name: str, layer: Any, kind: str, shape: tuple[int, ...]) -> Any:
    """``layer`` with its pixels in one axis, contiguous. Raises InputError for another form."""
    expected = np.dtype(kind)
    if layer.shape != shape or layer.dtype.newbyteorder("=") != expected:
        raise InputError(
            f"{name}: expected {expected.name} of shape {shape}, "
            f"found {layer.dtype.name} of shape {layer.shape}"
        )
    flat = namespace(layer).ascontiguousarray(layer)
    return flat.reshape(*shape[:-2], shape[-2] * shape[-1])


def _native(layer: Any) -> Any:
    """``layer`` in this machine's byte order; copied where it is in the other."""
    return layer if layer.dtype.isnative else layer.astype(layer.dtype.newbyteorder("="))


def _one_order(layers: list[Any], other_order: bool) -> tuple[list[Any], bool]:
    """The layers, typed in this machine's byte order, and whether their bytes are in the other.

    As they come where they agree, which needs no copy.
    """
    orders = {layer.dtype.isnative for layer in layers if layer.dtype.itemsize > 1}
    if other_order or orders == {False}:
        return [layer.view(layer.dtype.newbyteorder("=")) for layer in layers], True
    return [_native(layer) for layer in layers], False
