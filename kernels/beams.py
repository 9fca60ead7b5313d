# SPDX-License-Identifier: Apache-2.0
"""Beams from sources and corners, carried over a raster row by row until others were there before.

A beam is the lines from a root between two directions, within a quarter of :mod:`.sight`. Over each
row it is cut by barriers into narrower ones, gives every centre and corner in it the length of the
way by its root, and sends a new beam into the shadow behind a corner that it touches. It ends where
no line of it can still be the shortest way to anywhere.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .extremes import lowest_key
from .launch import device
from .sight import (
    CORNER,
    PINCH,
    PIXEL,
    QUARTERS,
    behind,
    common,
    first_after,
    frame,
    last_before,
    placed,
    rightness,
    turned,
)

HALF, ONE = np.float32(0.5), np.float32(1)

ROOT = 0x7FFFFFFF
"""The bits of a kept way that name its root: its place in the two layers of points, one row."""

Body = Callable[..., Any]


@device
def length(ahead: int, aside: int) -> Any:
    """Length of a line, pixels, float32, from half pixels; its square is an exact integer."""
    return HALF * math.sqrt(np.float32(ahead * ahead + aside * aside))


@device
def nearest(way: Any, direction_left: Any, direction_right: Any, ahead: int) -> Any:
    """The shortest way by a beam to the line that lies ``ahead`` half pixels ahead of its root."""
    straight = HALF * np.float32(ahead)
    forward, aside = direction_left if direction_left[1] > 0 else direction_right
    if direction_left[1] > 0 or direction_right[1] < 0:
        straight *= math.sqrt(ONE + np.float32(aside * aside) / np.float32(forward * forward))
    return way + straight


@device
def way_of(key: Any) -> Any:
    """The length of a way, pixels, float32, that is kept with its root.

    >>> float(way_of(lowest_key(np.float32(1.5), 7)))
    1.5
    """
    return np.int32(key >> 32).view(np.float32)


@device
def covered(pixel: int, ahead: int, root: int, way: Any, row: Any) -> bool:
    """Whether all between a pixel's centre and the next has shorter ways than by the beam.

    ``row`` is the pixels' kinds, their ways, the place of the first, the step to the next, and
    their number. A pixel's half of what is between is covered by a barrier in it.
    """
    kinds, ways, first, step, columns = row
    place, aside = first + pixel * step, 2 * pixel + 1 - root
    here, there = HALF, HALF
    here_root, there_root = -1, -2
    if pixel >= 0 and kinds[PIXEL, place] > 0:
        straight = length(ahead, aside)
        here = way + straight - way_of(ways[PIXEL, place])
        if not here > 0:
            return False
        here_root = ways[PIXEL, place] & ROOT
        # A step aside adds no more than itself to the other way, to this one no less than here.
        here_reach = here / (ONE - HALF * np.float32(aside) / straight)
    else:
        here_reach = HALF
    place, aside = place + step, aside + 2
    if pixel + 1 < columns and kinds[PIXEL, place] > 0:
        straight = length(ahead, aside)
        there = way + straight - way_of(ways[PIXEL, place])
        if not there > 0:
            return False
        there_root = ways[PIXEL, place] & ROOT
        there_reach = there / (ONE + HALF * np.float32(aside) / straight)
    else:
        there_reach = HALF
    if here_root == there_root:
        # Its ways are no longer between than on a straight line, and these no shorter than so much.
        return bool(min(here, there) * np.float32(4 * ahead) > ONE)
    return bool(here_reach + there_reach > ONE)


@device
def squeezed(left: Any, right: Any, ahead: int, root: int, corners: Any) -> bool:
    """Whether a beam is a single line, and passes between two barriers that touch by a corner.

    ``corners`` is the kinds, the place of the row's first corner, the step to the next and the
    number of pixels between.
    """
    kinds, first, step, columns = corners
    if rightness(left, right) != 0:
        return False
    corner = first_after(root, left, ahead, 0)
    exact = corner == last_before(root, left, ahead, 0)
    return bool(exact and 0 <= corner <= columns and kinds[CORNER, first + corner * step] == PINCH)


def carrying(lower: Body, push: Body) -> Body:
    """The body that carries a beam over a row of pixels.

    ``lower(ways, kind, place, key)`` writes a lower key and says whether it was;
    ``push(queue, key, way, y, x, quarter, line, left, right)`` keeps a beam for later. Machines
    differ in these alone.
    """

    @device
    def bend(place: int, y: int, x: int, way: Any, raster: Any, queue: Any) -> None:
        """Send beams into the shadow behind a corner, at ``place``, touched from (y, x)."""
        kinds, _, height, width = raster
        to_y, to_x = 2 * (place // (width + 1)), 2 * (place % (width + 1))
        bends, edge_y, edge_x = behind(to_y - y, to_x - x, np.int64(kinds[CORNER, place]))
        if not bends:
            return
        for quarter in range(QUARTERS):
            found, left, right = common(
                turned(quarter, to_y - y, to_x - x), turned(quarter, edge_y, edge_x)
            )
            if found:
                line, _ = placed(quarter, to_y, to_x, height, width)
                push(queue, way, way, to_y, to_x, quarter, line, left, right)

    @device
    def touch(
        y: int, x: int, way: Any, quarter: int, line: int, fan: Any, raster: Any, queue: Any
    ) -> None:
        """Give the corners of a line that are in a beam their way."""
        kinds, ways, height, width = raster
        _, columns, origin, down, step = frame(quarter, height, width)
        from_line, root = placed(quarter, y, x, height, width)
        ahead = line - from_line
        first = origin + max(0, -down) + (line >> 1) * down
        left, right = fan
        start, end = first_after(root, left, ahead, 0), last_before(root, right, ahead, 0)
        for corner in range(max(start, 0), min(end, columns) + 1):
            place = first + corner * step
            if 0 < kinds[CORNER, place] < PINCH:
                found = way + length(ahead, 2 * corner - root)
                if lower(ways, CORNER, place, lowest_key(found, 0)):
                    bend(place, y, x, found, raster, queue)

    @device
    def follow(
        y: int, x: int, way: Any, quarter: int, line: int, fan: Any, raster: Any, queue: Any
    ) -> None:
        """Carry a beam that is free as far as the centres of a row to the next row."""
        kinds, ways, height, width = raster
        _, columns, origin, down, step = frame(quarter, height, width)
        from_line, root = placed(quarter, y, x, height, width)
        first, ahead = origin + (line >> 1) * down, line - from_line
        left, right = fan
        if squeezed(left, right, ahead, root, (kinds, first + max(0, -down), step, columns)):
            return
        ahead += 1
        name = (y >> 1) * (width + 1) + (x >> 1) + ((y & 1) ^ 1) * ways.shape[1]
        start, end = first_after(root, left, ahead, 1), last_before(root, right, ahead, 1)
        start, end = max(start, 0), min(end, columns - 1)
        for pixel in range(start, end + 1):
            found = way + length(ahead, 2 * pixel + 1 - root)
            lower(ways, PIXEL, first + pixel * step, lowest_key(found, name))
        row = kinds, ways, first, step, columns
        begin, last = start - 1, end
        while begin <= last and covered(begin, ahead, root, way, row):
            begin += 1
        while begin <= last and covered(last, ahead, root, way, row):
            last -= 1
        if begin > last:
            return
        if begin >= start:
            left = (ahead, 2 * begin + 1 - root)
        if last < end:
            right = (ahead, 2 * last + 3 - root)
        ahead += 1  # over the lower half, where a barrier can come from the sides alone
        if left[1] < 0:
            pixel = last_before(root, left, ahead, 0)
            edge = (ahead, 2 * pixel + 2 - root)
            if pixel >= 0 and kinds[PIXEL, first + pixel * step] == 0:
                left = edge if rightness(left, edge) > 0 else left
        if right[1] > 0:
            pixel = first_after(root, right, ahead, 0) - 1
            edge = (ahead, 2 * pixel - root)
            if pixel < columns and kinds[PIXEL, first + pixel * step] == 0:
                right = edge if rightness(edge, right) > 0 else right
        if rightness(left, right) >= 0:
            key = nearest(way, left, right, ahead)
            push(queue, key, way, y, x, quarter, line + 2, left, right)

    @device
    def carry(
        y: int, x: int, way: Any, quarter: int, line: int, fan: Any, raster: Any, queue: Any
    ) -> None:
        """Carry a beam from a ``line`` between rows over the next one.

        Its root is at (y, x), half pixels, to which ``way`` leads. ``fan`` is its left and its
        right limit. ``raster`` is the kinds of all pixels and corners, the ways to them, and the
        raster's height and width.
        """
        kinds, _, height, width = raster
        rows, columns, origin, down, step = frame(quarter, height, width)
        from_line, root = placed(quarter, y, x, height, width)
        ahead = line - from_line
        if ahead > 0:
            touch(y, x, way, quarter, line, fan, raster, queue)
        if line >= 2 * rows:
            return
        left, right = fan
        first = origin + (line >> 1) * down
        # All that the beam touches on its way to the row's centres.
        pixel = first_after(root, left, ahead + (1 if left[1] < 0 else 0), 0) - 1
        end = last_before(root, right, ahead + (1 if right[1] > 0 else 0), 0)
        pixel, end = max(pixel, 0), min(end, columns - 1)
        if pixel > end:
            return
        while pixel <= end:
            if kinds[PIXEL, first + pixel * step] > 0:
                pixel += 1
                continue
            begins = 2 * pixel - root
            while pixel <= end and kinds[PIXEL, first + pixel * step] == 0:
                pixel += 1
            ends = 2 * pixel - root
            near = (ahead + (1 if begins >= 0 else 0), begins)
            if rightness(near, right) < 0:
                break
            if rightness(left, near) >= 0:
                follow(y, x, way, quarter, line, (left, near), raster, queue)
            far = (ahead + (1 if ends <= 0 else 0), ends)
            left = far if rightness(left, far) > 0 else left
            if rightness(left, right) < 0:
                return
        follow(y, x, way, quarter, line, (left, right), raster, queue)

    return carry
