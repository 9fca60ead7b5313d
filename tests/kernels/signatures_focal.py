# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the focal share is compiled to PTX."""

from numba import float32, int64

from rsei.kernels import focal

SIGNATURES = {focal._focal: (float32[:, ::1], int64, int64, float32[:, ::1])}
