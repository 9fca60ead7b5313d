# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the zonal kernels are compiled to PTX."""

from numba import float32, float64, int64

from rsei.kernels import shares, zonal

SIGNATURES = {
    zonal._by_run: (
        int64[::1],
        int64[::1],
        int64[::1],
        float32[::1],
        float32,
        int64[:, :, ::1],
    ),
    shares._by_share: (
        float32[::1],
        int64[::1],
        float64[::1],
        int64[::1],
        int64[::1],
        float64[:, ::1],
    ),
}

FLOAT64 = {shares._by_share}
"""Shares are exact to 1e-9 and their sums too: single precision would lose that at 100 pixels."""
