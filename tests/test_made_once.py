# SPDX-License-Identifier: Apache-2.0
"""A folder that several want at once is made by one of them, and whole before others have it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_once import made_once


def test_a_folder_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """By threads here, between which the lock holds as between processes."""
    made = list[Path]()
    name = f"shared-{os.getpid()}"
    tmp_path_factory.getbasetemp()  # which is a process's own, and not the threads' to make

    def make(folder: Path) -> None:
        made.append(folder)
        for number in range(200):
            (folder / str(number)).touch()

    def wanted(_: int) -> int:
        return len(list(made_once(tmp_path_factory, name, make).iterdir()))

    with ThreadPoolExecutor(4) as people:
        assert list(people.map(wanted, range(4))) == [200] * 4
    assert len(made) == 1


def test_one_that_could_not_be_made_is_tried_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name = f"failing-{os.getpid()}"
    with pytest.raises(ZeroDivisionError):
        made_once(tmp_path_factory, name, lambda folder: 1 / 0)
    folder = made_once(tmp_path_factory, name, lambda folder: (folder / "a").touch())
    assert (folder / "a").exists()
