# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the distances, free and round barriers, are compiled to PTX."""

from numba import bool_, float32, int32, int64, types, uint8

from rsei.kernels import barriers, distance

flags, plane, size = bool_[:, ::1], int32[:, ::1], types.UniTuple(int64, 2)
kinds, ways, lengths = uint8[:, ::1], int64[:, ::1], float32[:, ::1]

SIGNATURES = {
    distance._columns: (flags, plane),
    distance._nearest: (plane, plane, plane),
    barriers._carry: (plane, lengths, float32, kinds, ways, size, plane, lengths, int32[::1]),
}
