"""Arrays of the machine that was chosen."""

import importlib
from typing import Any

import numpy as np


def home(device: str) -> Any:
    """NumPy for ``cpu``, CuPy for ``cuda``."""
    return np if device == "cpu" else importlib.import_module("cupy")


def on_host(array: Any) -> Any:
    """``array`` in the host's memory."""
    return array.get() if type(array).__module__.startswith("cupy") else array
