"""What the operating system says of processes and ports; decides nothing.

A pid alone names another process tomorrow, so a process here is a pid with the moment it started. Linux is asked
through /proc, other systems through `ps`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
POLL_S = 0.02
KILLED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process, from its start to its end and never again. `started` is opaque: compare it, do not read it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None where there is none or it has ended and only waits to be reaped."""
        started = _started(pid)
        return cls(pid, started) if started else None

    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def signal_group(self, signum: signal.Signals) -> None:
        """Signal the process and whatever it started; nothing where the pid has passed to a stranger.

        It must be the leader of its group.
        """
        current = _stat(self.pid)
        if current is not None and current[1] != self.started:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)


async def end(process: Process, grace_s: float) -> bool:
    """End the process and its group: SIGTERM, after `grace_s` SIGKILL. False where even that did not help."""
    process.signal_group(signal.SIGTERM)
    ended = await _ended(process, grace_s)
    process.signal_group(signal.SIGKILL)  # also what it started and left behind
    return ended or await _ended(process, KILLED_WITHIN_S)


async def _ended(process: Process, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while process.alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a predecessor that are still closing do not matter, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port that nobody uses now, as the system picks it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(pid: int, port: int) -> bool:
    """Whether the listener on `port` belongs to `pid` or its group; True also where the system does not tell."""
    inodes = set(_listeners(port))
    if not inodes:
        return True
    return any(inodes & _sockets(member) for member in _group(pid))


def _started(pid: int) -> str | None:
    stat = _stat(pid)
    return stat[1] if stat and stat[0] not in "ZX" else None


def _stat(pid: int) -> tuple[str, str] | None:
    """State letter and start of a process, zombies included."""
    if (_PROC / "self/stat").exists():
        try:
            # The name is in parentheses and may hold anything; what follows the last one is plain.
            fields = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # Ticks since boot, hence the boot: see proc(5), fields 3 and 22.
        return fields[0], f"{(_PROC / 'sys/kernel/random/boot_id').read_text().strip()}:{fields[19]}"
    # Another system's zone or language must not make the same start look like another.
    env = {"PATH": "/bin:/usr/bin", "LC_ALL": "C", "TZ": "UTC"}
    listed = subprocess.run(  # noqa: S603 - of our own making
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, env=env, check=False
    ).stdout.split(maxsplit=1)
    return (listed[0][0], listed[1].strip()) if len(listed) == 2 else None


def _listeners(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for descriptor in (_PROC / f"{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(descriptor))
    return found


def _group(pid: int) -> Iterator[int]:
    for entry in _PROC.iterdir():
        with suppress(ValueError, OSError):
            if os.getpgid(int(entry.name)) == pid:
                yield int(entry.name)
