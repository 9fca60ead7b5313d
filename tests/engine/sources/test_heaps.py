# SPDX-License-Identifier: Apache-2.0
"""Global heaps of HDF5 files: sound ones pass, and one that goes in a circle is named."""

from pathlib import Path

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsei.engine.sources.errors import RasterError
from rsei.engine.sources.hdf5 import opened
from rsei.engine.sources.heaps import HEADER, HEAP, require_ends


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=90)))
def test_heaps_that_the_library_writes_end(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "texts.h5"
    for version in ("earliest", "v110"):
        with h5py.File(path, "w", libver=(version, "latest")) as file:
            file.create_dataset("texts", data=[*texts, "x" * 70_000], dtype=h5py.string_dtype())
            file.attrs["title"] = "a title"
        require_ends(path)
        with opened(path) as file:
            assert file["texts"].asstr()[: len(texts)].tolist() == texts


def test_a_heap_without_an_end_is_damage(tmp_path: Path) -> None:
    """HDF5 2.0 would read it for ever: nothing but the end of the process ends that."""
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = h5py.Empty("f")
        file.attrs.create("texts", ["one", "two"], dtype=h5py.string_dtype())
    data = bytearray(path.read_bytes())
    first = data.index(HEAP) + HEADER
    data[first : first + HEADER] = bytes(HEADER)
    path.write_bytes(data)
    with pytest.raises(
        RasterError, match=r"texts\.h5: damaged: the global heap at byte \d+ has no"
    ):
        with opened(path):
            pass
