# SPDX-License-Identifier: Apache-2.0
"""What compiling costs: a small study with an empty cache of kernels, and again with a full one.

    python benchmarks/bench_compile.py [--json FILE]

The study is the tests' own: two epochs of a small city over a tile seam, granules to page, in a
process of its own each time. CPU seconds of the process; the difference is the cold compile of
every kernel that such a study needs, with the loading of the compiler.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from measured import keep

TESTS = Path(__file__).parents[1] / "tests"
CODE = """
import sys
from pathlib import Path
import studies
studies.run(studies.written(Path(sys.argv[2]), Path(sys.argv[1])))
"""


def seconds(granules: Path, study: Path, cache: Path) -> float:
    """CPU seconds of a process that carries the study out."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"PYTHONPATH": str(TESTS), "NUMBA_CACHE_DIR": str(cache)}
    subprocess.run([sys.executable, "-c", CODE, granules, study], env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    import studies

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        granules = studies.write_all(folder / "granules")
        cold = seconds(granules, folder / "cold", folder / "cache")
        warm = seconds(granules, folder / "warm", folder / "cache")
    report = {"cold_cpu_s": cold, "warm_cpu_s": warm, "compile_cpu_s": cold - warm}
    print(f"cold {cold:.1f} s CPU, warm {warm:.1f} s CPU: compiling takes {cold - warm:.1f} s")
    keep(report, chosen.json)


if __name__ == "__main__":
    main()
