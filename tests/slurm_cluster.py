# SPDX-License-Identifier: Apache-2.0
"""A Slurm of one node, started by whoever runs the tests, where Debian's packages are installed.

apt-get install slurmctld slurmd slurm-client munge
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
"""Programs that it needs."""

PATIENCE = 30.0
"""Seconds in which each of them has to be ready."""

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES:4
"""
"""No cgroups and no accounting: a container has neither."""


def missing() -> str:
    """Why it cannot run here; nothing where it can."""
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)}"
    return "" if os.geteuid() == 0 else "slurmd starts jobs for others: it needs root"


@contextmanager
def slurm(root: Path, memory: int = 4000) -> Iterator[Mapping[str, str]]:
    """The variables that Slurm's commands need; its daemons end with the block.

    Its one node has ``memory``, MB, for all jobs.
    """
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (root / name).mkdir(parents=True)
    key = root / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    ports, cpus = _free_ports(2), os.cpu_count() or 1
    conf = CONF.format(host=host, root=root, ports=ports, cpus=cpus, memory=memory)
    (root / "slurm.conf").write_text(conf)
    variables = {"SLURM_CONF": str(root / "slurm.conf")}
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    files = [f"--{option}={root}/munge.{ending}" for option, ending in names.items()]
    with ExitStack() as daemons:
        munged = ["munged", "--foreground", "--force", *files, f"--seed-file={root}/munge.seed"]
        daemons.enter_context(_daemon(munged, root, variables))
        _until(lambda: (root / "munge.socket").exists())
        daemons.enter_context(_daemon(["slurmctld", "-D", "-i"], root, variables))
        _until(lambda: _says(["scontrol", "ping"], variables, "is UP"))
        daemons.enter_context(_daemon(["slurmd", "-D"], root, variables))
        _until(lambda: _says(["sinfo", "--noheader", "--format=%t"], variables, "idle"))
        yield variables


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def _daemon(command: list[str], root: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with (root / f"{command[0]}.out").open("w") as out:
        environment = os.environ | variables
        daemon = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            yield
        finally:
            daemon.terminate()
            try:
                daemon.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _says(command: list[str], variables: Mapping[str, str], text: str) -> bool:
    environment = os.environ | variables
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return text in done.stdout


def _until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("expected Slurm to start, found it did not; see its logs")
        time.sleep(0.1)
