# SPDX-License-Identifier: Apache-2.0
"""Argument types with which the slope is compiled to PTX."""

from numba import float32

from rsei.kernels import terrain

SIGNATURES = {terrain._slope: (float32[:, ::1], float32, float32, float32[:, ::1])}
