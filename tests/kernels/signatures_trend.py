# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the trend kernel is compiled to PTX."""

from numba import float32, int64

from rsei.kernels import trend

SIGNATURES = {
    trend._trend: (float32[:, ::1], float32[::1], int64, float32[:, ::1]),
}

LOCAL = {trend._trend}
"""A series is as long as the study has epochs, so its two arrays are indexed at run time."""
