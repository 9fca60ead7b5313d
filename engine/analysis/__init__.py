# SPDX-License-Identifier: Apache-2.0
"""What RSEI says about cities, mines and drivers: pure functions on rasters, polygons, tables."""
