# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a run: the screen of a real terminal, by an emulator."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pyte
import pytest
import studies

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 40, 80
STAGES = ("partial", "composite", "reduce", "project", "write", "analyse", "report")


COMMAND = "from rsei.cli.main import app; app()"


def screens(code: str, *words: str | Path) -> tuple[list[list[str]], int]:
    """What stands on the terminal each time that a program writes to it, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    screen = pyte.Screen(COLUMNS, ROWS)
    stream, seen = pyte.ByteStream(screen), []
    try:
        while data := _read(master):
            stream.feed(data)
            seen.append([line.rstrip() for line in screen.display])
    finally:
        os.close(master)
    return seen, child.wait(60)


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""


def test_a_terminal_shows_progress_means_and_the_page(tmp_path: Path) -> None:
    folder = studies.write_some(tmp_path / "granules")
    study = studies.written(tmp_path, folder)
    seen, code = screens(COMMAND, "run", study)
    assert code == 0
    last = [line for line in seen[-1] if line]
    bars = {line.split()[0]: line for line in last if "tasks" in line and "/" in line}
    assert tuple(name for name in bars if name in STAGES) == STAGES
    for name in STAGES:
        done, total = next(w for w in bars[name].split() if "/" in w).split("/")
        assert done == total and int(total) > 0 and " in 0:" in bars[name]
    assert "MiB" in bars["partial"] and "/s" in bars["partial"]
    lines = ["".join(screen) for screen in seen]
    assert any("partial" in text and "left" in text for text in lines)
    series = pd.read_csv(tmp_path / "run/tables/series.csv")
    means = series[(series["zone"] == "area") & (series["epoch"] != "all")]["mean"]
    table = next(i for i, line in enumerate(last) if line.startswith("mean RSEI"))
    assert last[table].split()[2:] == [str(epoch) for epoch in studies.EPOCHS]
    assert last[table + 1].split()[2:] == [f"{mean:.3f}" for mean in means]
    # The path may be longer than a line.
    assert "".join(seen[-1]).endswith(f"open {tmp_path / 'run' / 'report.html'}")
    assert all(not line.startswith(" ") for line in last)


def test_messages_stand_above_the_bars() -> None:
    """Those of a signal, too: they must not be drawn over, nor read as markup."""
    seen, code = screens(
        """if True:
        import os, signal
        from rsei.cli.options import asking
        from rsei.cli.progress import watching
        from rsei.engine.run.orders import Stop
        stop = Stop()
        with watching() as progress, asking(stop), stop.patiently():
            progress.begin("partial", 4, 4096)
            progress.advance("partial", 1, 1024)
            progress.say("a [granule] is odd")
            os.kill(os.getpid(), signal.SIGINT)
            progress.advance("partial", 1, 1024)
        """
    )
    lines = [line for line in seen[-1] if line]
    assert code == 0 and lines[0] == "a [granule] is odd"
    assert lines[1] == "rsei: stopping after the tasks at hand; once more stops at once"
    (bar,) = lines[2:]
    assert bar.split()[0] == "partial" and "2/4 tasks 2.0/4.0 KiB" in bar and bar.endswith("left")
