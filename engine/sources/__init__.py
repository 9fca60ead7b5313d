"""Files, formats, and where a pixel lies."""
