# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the kernels of quality bits are compiled to PTX."""

from numba import boolean, float32, float64, int16, int32, int64, types, uint8, uint16, uint32

from rsei.kernels import averaging, layers, quality

bands = (
    uint16[:, ::1],
    uint32[:, ::1],
    types.UniTuple(uint32, 2),
    types.UniTuple(uint32, 12),
    uint32[:, ::1],
    int64,
    int64,
    boolean,
    int32[:, ::1],
    uint8[:, ::1],
    int64[:, ::1],
)
SIGNATURES = {
    quality._native: (int16[:, :, ::1], *bands),
    quality._swapped: (uint16[:, :, ::1], *bands),
    layers._layer: (
        *(int16[:, ::1], int16[:, ::1], uint16[:, ::1], uint8[:, ::1], boolean),
        types.UniTuple(int64, 3),
        uint32[:, ::1],
        types.UniTuple(int64, 4),
        int32[::1],
        uint8[::1],
        int64[:, ::1],
    ),
    averaging._means: (int32[::1], uint16[::1], float64, float64, float32[::1]),
}
FLOAT64 = {averaging._means}
"""Sums of stored integers pass 2**24: their mean is rounded once, at the end."""
