"""Argument types with which the first kernels are compiled to PTX."""

from numba import float32, int16, int32, int64, types, uint32

from rsei.kernels import indices, moments, quality

four = types.UniTuple(float32, 4)
SIGNATURES = {
    indices._ndvi_mndwi: (float32[:, ::1], float32[:, ::1]),
    moments._moments: (float32[:, ::1], four, four, int64[:, ::1]),
    quality._accumulate: (
        int16[:, :, ::1],
        uint32[:, :, ::1],
        int64[:, ::1],
        int64[:, ::1],
        types.UniTuple(int64, 2),
        int32[:, ::1],
        int32[:, ::1],
    ),
}
