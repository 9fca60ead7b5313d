# SPDX-License-Identifier: Apache-2.0
"""Let coverage of our own code guide the input of a target: a script that needs atheris.

    pip install atheris
    python tests/fuzz/guided.py metadata -max_total_time=60 -timeout=60 -rss_limit_mb=3000

What follows the target goes to libFuzzer. It starts from inputs of the campaign's own kind.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["rsei.engine.sources", "rsei.engine.run"]):
    from fuzz.targets import TARGETS

from rsei.engine.sources.errors import RseiError

SEEDS = 40
"""Inputs to start from."""


def main() -> None:
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as place:
        folder, seeds = Path(place), Path(place) / "seeds"
        seeds.mkdir()
        inputs = target.inputs(folder)
        with warnings.catch_warnings(action="ignore"):  # examples are meant for looking at
            for number in range(SEEDS):
                (seeds / str(number)).write_bytes(inputs.example())

        def one(data: bytes) -> None:
            try:
                target.act(data, folder)
            except RseiError:
                return

        atheris.Setup([sys.argv[0], *options, str(seeds)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
