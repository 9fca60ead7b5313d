# SPDX-License-Identifier: Apache-2.0
"""Give every target spoilt input, each in a process with limited memory; run as a script.

    python tests/fuzz/campaign.py --count 1000

``count`` inputs a target; what is found is written to tests/fuzz/found. A target fails by an
exception that is not for the user, by its process's end, by more memory than ``ROOM`` over what it
has at its start, and by more than ``PATIENCE`` seconds for one input.
"""

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

FOUND = HERE / "found"
"""Where inputs go that failed."""

ROOM = 2 << 30
"""Bytes of address space that inputs of some kB may take: twice the largest array believed."""

PATIENCE = 60
"""Seconds for one input."""


SLOW = 2
"""Seconds from which an input is worth a look."""


class Hang(BaseException):
    """An input that takes too long."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--target", action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    if options.inside:
        print(json.dumps(tried(options.inside, options.count, options.seed)))
        return
    from fuzz.targets import TARGETS

    total = 0
    for name in options.target or TARGETS:
        outcome = campaign(name, max(1, round(options.count * TARGETS[name].share)), options.seed)
        total += outcome["inputs"]
        print(f"{name:<12} {json.dumps(outcome)}", flush=True)
    print(f"{total} inputs")


def campaign(name: str, count: int, seed: int = 0) -> dict[str, Any]:
    """What ``count`` inputs of a target came to, in a process of their own."""
    command = [sys.executable, str(Path(__file__)), "--inside", name, "--count", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        last = Path(folder) / "last"
        done = subprocess.run(
            [*command, "--seed", str(seed)],
            capture_output=True,
            env=os.environ | {"RSEI_FUZZ_LAST": str(last), "OPENBLAS_NUM_THREADS": "1"},
        )
        if done.returncode == 0:
            outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return outcome
        data = last.read_bytes() if last.exists() else b""
        kept = keep(name, data)
        end = done.stderr.decode(errors="replace")[-2000:]
        return {"inputs": 0, "failures": [f"ended with {done.returncode} at {kept}: {end}"]}


def keep(name: str, data: bytes) -> Path:
    """Write an input that failed, to be looked at."""
    path = FOUND / name.replace(":", ".") / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def tried(name: str, count: int, seed: int) -> dict[str, Any]:
    """Give a target ``count`` inputs, in this process."""
    import hypothesis
    from fuzz.targets import TARGETS
    from hypothesis import HealthCheck, Phase, given, settings

    from rsei.engine.sources.errors import RseiError

    module, _, function = name.partition(":")
    target = import_module(module).planted(function) if function else TARGETS[name]
    counts = {"inputs": 0, "refused": 0}
    failures: dict[str, str] = {}
    slowest = 0.0
    last = os.environ.get("RSEI_FUZZ_LAST")

    def late(*_: Any) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, late)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        inputs = target.inputs(folder)
        limit = vmsize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        @hypothesis.seed(seed)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs)
        def one(data: bytes) -> None:
            nonlocal slowest
            counts["inputs"] += 1
            if last:
                Path(last).write_bytes(data)
            begun = time.perf_counter()
            signal.alarm(PATIENCE)
            # A library in a circle hears no alarm: the process ends, and says where it was.
            faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)
            try:
                target.act(data, folder)
            except RseiError as error:
                counts["refused"] += 1
                assert str(error)
            except (Exception, Hang) as error:
                signal.alarm(0)
                where = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} {Path(where.filename).name}:{where.lineno}"
                if kind not in failures:
                    failures[kind] = f"{kind} {str(error)[:200]} at {keep(name, data)}"
            finally:
                signal.alarm(0)
                faulthandler.cancel_dump_traceback_later()
            taken = time.perf_counter() - begun
            if taken > max(slowest, SLOW):
                keep(f"{name}-slow", data)
            slowest = max(slowest, taken)

        one()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    said = {**counts, "slowest_s": round(slowest, 2), "peak_mib": peak}
    return {**said, "failures": sorted(failures.values())}


def vmsize() -> int:
    """Bytes of address space of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
