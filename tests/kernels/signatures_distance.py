"""Argument types with which the distances, free and round barriers, are compiled to PTX."""

from numba import bool_, float32, int16, int32, int64, uint8

from rsei.kernels import barriers, distance, sight

flags, plane = bool_[:, ::1], int32[:, ::1]
nodes, of_nodes = int32[::1], int32[:, :, ::1]
room, kinds, ways = int16[:, ::1], uint8[:, :, ::1], float32[:, :, ::1]

SIGNATURES = {
    distance._columns: (flags, plane),
    distance._nearest: (plane, plane, plane),
    sight._light: (plane, room, kinds, ways, of_nodes),
    barriers._shorten: (
        nodes,
        room,
        kinds,
        ways,
        of_nodes,
        of_nodes,
        int64,
        float32[::1],
        nodes,
    ),
    barriers._spread: (nodes, kinds, ways, of_nodes, of_nodes, of_nodes, int64, plane),
}
