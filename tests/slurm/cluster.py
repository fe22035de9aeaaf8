"""A SLURM cluster of the tests' own on 127.0.0.1: to start and to stop, to look into, and to break."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slurm import accounting, processes
from slurm.accounting import Job, Queued

Found = TypeVar("Found")

HERE = Path(__file__).parent

# Daemons live where users' paths do not always lead.
SYSTEM = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])

# Seconds after which a node that does not answer counts as lost; the default is a minute, and tests wait for it.
SILENCE = 15

# What two clusters side by side must not share: ports, and the names of nodes, by which the kernel knows jobs' groups.
PORTS = range(12_000, 32_000, 300)


class Unavailable(RuntimeError):
    """No cluster can be had on this machine; the message says why."""


class Cluster:
    """A cluster whose state lies in a folder; there may be several side by side."""

    def __init__(self, folder: str | Path) -> None:
        """Take the cluster that was started in `folder`."""
        self.folder = Path(folder)

    @classmethod
    def start(cls, folder: str | Path, **variables: str | int) -> "Cluster":
        """Start a cluster.

        Args:
            folder: Of its state; a short path, since sockets lie in it.
            variables: Of `start_cluster.sh`, such as `CPU_NODES=1`.

        Raises:
            Unavailable: It does not start.

        """
        if len(str(folder)) > 60:
            raise Unavailable(f"{folder} is too long a path for a cluster: names of sockets have 107 letters at most.")
        port = _free_port()
        own = {"NODE_MEM": 8000, "SLURM_PORT_BASE": port, "NODE_PREFIX": f"p{port}-", "SLURMD_TIMEOUT": SILENCE}
        words = {key: str(value) for key, value in (own | variables).items()}
        done = _run([HERE / "start_cluster.sh"], os.environ | words | {"SLURM_SANDBOX": str(folder)})
        if done.returncode:
            raise Unavailable(f"SLURM does not start in {folder}: {done.stderr.strip()}")
        return cls(folder)

    def stop(self) -> None:
        """Cancel all jobs, end all daemons, and remove the folder."""
        _run([HERE / "stop_cluster.sh", "--purge"], os.environ | {"SLURM_SANDBOX": str(self.folder)})

    @property
    def env(self) -> dict[str, str]:
        """Environment of a user of the cluster."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
        path = os.pathsep.join([str(self.folder / "bin"), SYSTEM])
        python = os.pathsep.join([str(Path(__file__).with_name("quick")), os.environ.get("PYTHONPATH", "")])
        return inherited | {"PATH": path, "PYTHONPATH": python, "SLURM_CONF": str(self.folder / "etc/slurm.conf")}

    def command(self, *words: str | int) -> str:
        """Run a command of SLURM, such as `scontrol`; give what it prints."""
        done = _run(words, self.env)
        if done.returncode:
            raise RuntimeError(f"{words} failed: {done.stderr.strip()}")
        return done.stdout

    def sacct(self, of: str | Path | None = None) -> list[Job]:
        """List jobs in the order of their ids, requeued ones once per time they ran.

        Args:
            of: The folder that `snakemake` ran in, or Snakemake's id of the run; None for all.

        """
        fields = "JobIDRaw,JobName,Comment,WorkDir,Partition,State,AllocCPUS,AllocTRES,ReqTRES,TimelimitRaw"
        fields += ",Submit,Start,End,MaxRSS,NodeList"
        table = self.command("sacct", "-D", "-n", "-P", "--starttime", "now-7days", "-o", fields)
        rows = [dict(zip(fields.split(","), line.split("|"), strict=True)) for line in table.splitlines()]
        return [accounting.job(lines) for lines in accounting.by_job(rows) if accounting.belongs(lines[0], of)]

    def queue(self, of: str | Path | None = None) -> list[Queued]:
        """List the jobs that wait or run; `of` as for `sacct`."""
        fields = ("JobIDRaw", "JobName", "Comment", "WorkDir", "State", "NodeList")
        table = self.command("squeue", "-h", "-t", "PENDING,RUNNING,COMPLETING,SUSPENDED", "-o", "%A|%j|%k|%Z|%T|%N")
        rows = [dict(zip(fields, line.split("|"), strict=True)) for line in table.splitlines()]
        return [accounting.queued(row) for row in rows if accounting.belongs(row, of)]

    def wait_for_job(self, of: str | Path, rule: str, state: str = "RUNNING", seconds: float = 120) -> Queued:
        """Wait until a job of a rule is in a state, and give it."""

        def found() -> Queued | None:
            return next((job for job in self.queue(of) if (job.rule, job.state) == (rule, state)), None)

        return wait(found, seconds, f"no {rule} job of {of} is {state}")

    def cancel(self, job: int) -> None:
        """Cancel a job, as its user or an administrator does."""
        self.command("scancel", job)

    def nodes(self) -> dict[str, str]:
        """States of the nodes by their names, such as `idle`."""
        return dict(line.split() for line in self.command("sinfo", "-hN", "-o", "%N %t").splitlines())

    def kill_node(self, name: str) -> None:
        """Lose a node: what runs there ends at once, and nothing says so to the controller."""
        os.kill(self._pid(f"slurmd-{name}"), signal.SIGKILL)
        processes.kill_all(lambda: processes.of_node(name))

    def start_node(self, name: str, seconds: float = 60) -> None:
        """Start a node again, and wait until it takes jobs."""
        self._start(f"slurmd-{name}", "slurmd", "-N", name)
        wait(lambda: self.nodes().get(name) in ("idle", "mix", "alloc"), seconds, f"{name} does not come back")

    def stop_controller(self) -> None:
        """Stop the controller; jobs that run go on."""
        self._stop("slurmctld")

    def start_controller(self) -> None:
        """Start the controller again, and wait until it answers and has asked all nodes how they are."""
        self._start("slurmctld", "slurmctld")
        wait(lambda: _run(["scontrol", "ping"], self.env).returncode == 0, 30, "the controller does not answer")
        wait(lambda: not any(state.startswith("unk") for state in self.nodes().values()), 30, "nodes do not answer")

    def stop_accounting(self) -> None:
        """Stop the accounting daemon; the controller keeps what it would say to it."""
        self._stop("slurmdbd")

    def start_accounting(self) -> None:
        """Start the accounting daemon again, and wait until it answers."""
        self._start("slurmdbd", "slurmdbd")
        wait(lambda: _run(["sacctmgr", "-n", "show", "cluster"], self.env).returncode == 0, 30, "sacct does not answer")

    def set_partition(self, name: str, state: str) -> None:
        """Set a partition's state: `UP`, `DOWN` (jobs wait), `DRAIN` (none is taken), `INACTIVE`."""
        self.command("scontrol", "update", f"PartitionName={name}", f"State={state}")

    def drain(self, name: str) -> None:
        """Drain all nodes of a partition: what runs there ends, and nothing starts."""
        self._set_nodes(name, "State=DRAIN", "Reason=test")

    def resume(self, name: str) -> None:
        """Let the nodes of a partition take jobs again."""
        self._set_nodes(name, "State=RESUME")

    def pause(self, job: int) -> None:
        """Suspend a job that runs, until `go_on`."""
        self.command("scontrol", "suspend", job)

    def go_on(self, job: int) -> None:
        """Let a suspended job go on."""
        self.command("scontrol", "resume", job)

    def _set_nodes(self, partition: str, *words: str) -> None:
        names = self.command("sinfo", "-h", "-p", partition, "-o", "%N").strip()
        self.command("scontrol", "update", f"NodeName={names}", *words)

    def _pid_file(self, daemon: str) -> Path:
        return self.folder / "run" / f"{daemon}.pid"

    def _pid(self, daemon: str) -> int:
        return int(self._pid_file(daemon).read_text())

    def _start(self, daemon: str, *words: str) -> None:
        self._pid_file(daemon).unlink(missing_ok=True)
        subprocess.run(words, env=self.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _stop(self, daemon: str) -> None:
        pid = self._pid(daemon)
        os.kill(pid, signal.SIGTERM)
        wait(lambda: not Path(f"/proc/{pid}").exists(), 30, f"{daemon} does not end")


def install() -> None:
    """Install SLURM where it is missing.

    Raises:
        Unavailable: It cannot be installed, or nobody but root could start it.

    """
    if os.geteuid():
        raise Unavailable("A cluster can only be started by root.")
    done = _run([HERE / "install.sh"], os.environ)
    if done.returncode:
        raise Unavailable(f"SLURM cannot be installed. {done.stderr.strip()}")


def wait(look: Callable[[], Found], seconds: float, failure: str) -> Found:
    """Look five times a second until something is found; fail with a sentence after some seconds."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"After {seconds:.0f} s {failure}.")
        time.sleep(0.2)
    return found


def _run(words, env) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], env=env, capture_output=True, text=True)


def _free_port() -> int:
    """First of 210 ports, of which those that daemons listen on are free."""
    candidates = list(PORTS)
    random.shuffle(candidates)
    listening = (1, 3, 4, *range(99, 105))
    return next(base for base in candidates if all(_is_free(base + offset) for offset in listening))


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0
