# SPDX-License-Identifier: Apache-2.0
"""A run that is killed and resumed gives the bytes of one that was left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import studies

SCRIPT = Path(__file__).with_name("run_crashes.py")


TRIALS = 20


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    paths = {"PYTHONPATH": str(Path(studies.__file__).parent)}
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(TRIALS)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | paths)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["wrong"] == []
    assert outcome["files"] > 20 and outcome["stopped"] >= TRIALS / 2
