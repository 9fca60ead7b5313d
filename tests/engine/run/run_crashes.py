# SPDX-License-Identifier: Apache-2.0
"""Kill `rsei run` at random moments, and resume it; run as a script by test_run_crashes.

One process imports the libraries, and forks a child for each command: trials take a second or two.
A moment is so many artefacts committed, and up to a twentieth of a second more: whatever else the
machine does, a run is met at work.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numba
import studies
from run_hashes import hashes
from scipy import stats  # noqa: F401  (late in a run; before the forks)

from rsei.cli.main import app
from rsei.engine.run import pipeline, reading, survey, tasks  # noqa: F401  (before the forks)
from rsei.engine.run.disk import writer
from rsei.engine.run.store import Store
from rsei.engine.run.upkeep import verification
from rsei.engine.sources import simulate  # noqa: F401

STOPPED = 5
"""Exit code of a run that can be resumed."""


def command(folder: Path) -> int:
    """A child that carries out the study in ``folder``; its process number."""
    child = os.fork()
    if child:
        return child
    with (folder / "errors.txt").open("a") as said, contextlib.redirect_stderr(said):
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            code = 70
            try:
                app(["run", str(folder / "study.toml"), "--until", "analyse"])
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                os._exit(code)


def ended(child: int) -> int:
    """Exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def met(child: int, run: Path, count: int) -> bool:
    """Wait until ``count`` artefacts are committed; False where the child ended before."""
    while len(list(Store(run).marker_paths())) < count:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        time.sleep(0.002)
    return True


def trial(folder: Path, granules: Path, number: int, artefacts: int) -> tuple[int, list[str]]:
    """How often the run was stopped, and what was wrong in the end."""
    dice, stops, wrong = random.Random(number), 0, []
    studies.written(folder, granules)
    for _ in range(dice.choice((1, 1, 2, 3))):
        there = min(len(list(Store(folder / "run").marker_paths())), artefacts - 1)
        child = command(folder)
        if met(child, folder / "run", dice.randrange(there, artefacts)):
            time.sleep(dice.uniform(0, 0.05))
        how = dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, how)
        code = ended(child)
        stops += code != 0
        if code not in (0, -signal.SIGKILL, STOPPED):
            wrong.append(f"trial {number}: exit code {code} after {how.name}")
        wrong += [f"trial {number}: accepted {name}" for name in verified(folder / "run")]
    if code := ended(command(folder)):
        wrong.append(f"trial {number}: exit code {code} when resumed")
    return stops, wrong


def verified(run: Path) -> list[str]:
    """Committed files that are not what their markers say."""
    if not (run / "run.json").exists():
        return []
    found = verification(Store(run))
    return [*found.missing, *found.altered, *found.unreadable]


def main(root: Path, trials: int) -> None:
    for wish in (signal.SIGTERM, signal.SIGUSR1):  # a child may be met before the command begins
        signal.signal(wish, lambda *_: os._exit(STOPPED))
    numba.njit(lambda: 0)()  # what Numba reads before it loads its first loop
    granules = studies.write_some(root / "granules")
    studies.written(root / "whole", granules)
    code = ended(command(root / "whole"))
    assert code == 0, (root / "whole/errors.txt").read_text()
    expected, artefacts = hashes(root / "whole/run"), len(list(Store(root / "whole/run").markers()))
    stopped, wrong = 0, []
    for number in range(trials):
        folder = root / str(number)
        stops, faults = trial(folder, granules, number, artefacts)
        stopped, found = stopped + stops, hashes(folder / "run")
        differing = [n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n)]
        wrong += faults + [f"trial {number}: {name} differs" for name in differing]
        left = [path.name for path in (folder / "run").rglob("*") if writer(path)]
        wrong += [f"trial {number}: {name} left behind" for name in left]
        if not wrong:
            shutil.rmtree(folder)
    files = len(expected)
    print(json.dumps({"stopped": stopped, "files": files, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
