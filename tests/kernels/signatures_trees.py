# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the walks through trees are compiled to PTX."""

from numba import bool_, int32, int64

from rsei.kernels import trees

SIGNATURES = {
    trees._shuffle: (
        int64[::1],
        int64[::1],
        int32[::1],
        int64[::1],
        int32[:, ::1],
        int32[::1],
        int64[:, ::1],
        int64[:, ::1],
    ),
    trees._vote: (
        int64[::1],
        int64[::1],
        int32[:, ::1],
        bool_[:, ::1],
        int64[::1],
        int64[::1],
    ),
}
