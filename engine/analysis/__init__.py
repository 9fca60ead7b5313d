"""What RSEI says about cities, mines and drivers: pure functions on rasters, polygons, tables."""
