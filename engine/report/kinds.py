# SPDX-License-Identifier: Apache-2.0
"""Files that a figure is written to."""

KINDS = ("png", "svg")
"""Files of each figure: pixels, and lines that stay sharp at any size."""

PDF = "pdf"
"""A further kind, for those who ask: what some journals want."""
