# SPDX-License-Identifier: Apache-2.0
"""Files, formats, and where a pixel lies."""
