# SPDX-License-Identifier: Apache-2.0
"""Quality masking and accumulation, slow and obvious: fields are cut out of binary digits."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]
Bits = tuple[int, int]
NIBBLES: tuple[Bits, ...] = ((2, 5), (6, 9), (10, 13), (14, 17), (18, 21), (22, 25), (26, 29))
"""Bits of b1 to b7. Source: MOD09 user guide, 500 m band quality."""


@cache
def digits(word: int) -> str:
    """The binary digits of ``word``, the lowest first."""
    return f"{int(word) & 0xFFFFFFFF:032b}"[::-1]


def field(word: int, bits: Bits) -> int:
    """The unsigned integer in ``bits`` of ``word``, from its binary digits."""
    return int(digits(word)[bits[0] : bits[1] + 1][::-1], 2)


def accepted(words: Integers, fields: Mapping[Bits, Collection[int]]) -> NDArray[np.bool_]:
    """Where every field of the words, (T, N), holds one of its values."""
    answer = {
        word: all(field(word, bits) in values for bits, values in fields.items())
        for word in np.unique(words).tolist()
    }
    return np.array([[answer[word] for word in row] for row in words.tolist()], bool)


def bands_used(
    state: Integers,
    qc: Integers,
    state_fields: Mapping[Bits, Collection[int]],
    qc_fields: Mapping[Bits, Collection[int]],
    every: Collection[int] | None,
    fills: tuple[int, int],
) -> NDArray[np.bool_]:
    """Where each band's quality bits are accepted, (T, 7, N)."""
    whole = {bits: values for bits, values in qc_fields.items() if bits not in NIBBLES}
    pixel = (state != fills[0]) & (qc != fills[1])
    pixel &= accepted(state, state_fields) & accepted(qc, whole)
    if every is not None:
        pixel &= accepted(qc, dict.fromkeys(NIBBLES, every))
    own = [accepted(qc, {bits: qc_fields[bits]} if bits in qc_fields else {}) for bits in NIBBLES]
    return pixel[:, None] & np.stack(own, axis=1)


def summed(
    stored: Integers, usable: NDArray[np.bool_], valid: tuple[int, int]
) -> tuple[Integers, Integers]:
    """Sums and counts over the dates, of the usable stored values in the valid range."""
    good = usable & (stored >= valid[0]) & (stored <= valid[1])
    return np.where(good, stored.astype(np.int64), 0).sum(axis=0), good.sum(axis=0)


def first_reasons(
    fill: NDArray[np.bool_], tests: list[NDArray[np.bool_]], in_range: NDArray[np.bool_]
) -> list[int]:
    """Pixel-dates lost to fill, to each test, to the range; and those left: the first counts."""
    alive, lost = ~fill, [int(fill.sum())]
    for test in [*tests, in_range]:
        lost.append(int((alive & ~test).sum()))
        alive = alive & test
    return [*lost, int(alive.sum())]


def losses(
    stored: Integers,
    state: Integers,
    qc: Integers,
    policy: Mapping[str, Any],
    fills: tuple[int, int],
    valid: tuple[int, int],
) -> list[int]:
    """Pixel-dates lost to fill, to each rule of a pixel in the order of the bits, the first that
    is broken; then, of what is left, to each band's nibble, and then to each band's range."""
    tests = [accepted(state, {bits: policy["state"][bits]}) for bits in sorted(policy["state"])]
    ends = sorted(set(policy["qc"]) - set(NIBBLES))
    tests += [accepted(qc, {bits: policy["qc"][bits]}) for bits in ends]
    if policy["every"] is not None:
        tests += [accepted(qc, {bits: policy["every"]}) for bits in NIBBLES]
    fill = (state == fills[0]) | (qc == fills[1])
    *found, _, _ = first_reasons(fill, tests, np.ones(fill.shape, bool))
    alive = ~fill & np.all([np.ones(fill.shape, bool), *tests], axis=0)
    used = bands_used(state, qc, policy["state"], policy["qc"], policy["every"], fills)
    found += [int((alive & ~used[:, b]).sum()) for b in range(7)]
    outside = used & ((stored < valid[0]) | (stored > valid[1]))
    return found + [int(outside[:, b].sum()) for b in range(7)]
