# SPDX-License-Identifier: Apache-2.0
"""Names and places of the small run whose report is tested."""

import shapely

HOSTILE = "<script>document.title='caught'</script> & \"Town\" $x^2$"
"""A name that is code in HTML, a quotation in TOML, and a formula to matplotlib."""

PITS = [shapely.Point(119.84, 39.99).buffer(0.006), shapely.Point(119.87, 40.02).buffer(0.003)]
"""Two mines in the area, in degrees."""
