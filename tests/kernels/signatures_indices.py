# SPDX-License-Identifier: Apache-2.0
"""Argument types of the kernels from sums to RSEI, with which they are compiled to PTX."""

from numba import float32, int32, int64, types, uint8, uint16

from rsei.kernels import indices, moments, projection, ranks, screening

four = types.UniTuple(float32, 4)
rules = types.NamedTuple(
    (float32, int64, int64, float32, float32, four, four, four), screening.Rules
)
SIGNATURES = {
    ranks._uppers: (float32[::1], uint8[::1], int32[:, ::1]),
    ranks._lowers: (float32[::1], uint8[::1], int64, int32[:, ::1]),
    ranks._evens: (float32[::1], uint8[::1], int32[:, ::1]),
    projection._project: (
        float32[:, ::1],
        uint8[::1],
        four,
        four,
        float32[::1],
        int64[:, ::1],
    ),
    indices._spectral: (float32[:, ::1], float32, float32[:, ::1]),
    moments._moments: (float32[:, ::1], four, four, four, int64[:, ::1]),
    screening._screen: (
        int32[:, ::1],
        uint16[:, ::1],
        uint8[::1],
        rules,
        float32[:, ::1],
        float32[:, ::1],
        uint8[::1],
        int64[:, ::1],
        int64[:, ::1],
    ),
}
