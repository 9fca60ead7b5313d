"""Argument types with which the first kernels are compiled to PTX."""

from numba import float32, int64, types

from rsei.kernels import indices, moments

four = types.UniTuple(float32, 4)
SIGNATURES = {
    indices._ndvi_mndwi: (float32[:, ::1], float32[:, ::1]),
    moments._moments: (float32[:, ::1], four, four, int64[:, ::1]),
}
