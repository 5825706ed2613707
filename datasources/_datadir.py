"""`DATA_DIR`: whose it is (`lock`) and where the children in it answer (`endpoints.json`).

`endpoints.json` is an object by child name. It outlives the children, so that they get their ports again:

    {"mongodb":  {"address": "mongodb://127.0.0.1:40001", "port": 40001,
                  "pid": 4711, "started": "...",          the running process; null when it was ended
                  "fingerprint": "..."}                   what it was started as: command, environment, version
     "temporal": {"address": "127.0.0.1:40002", ...},
     "sandbox":  {"address": "http://127.0.0.1:40003", ...}}
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import StartFailed
from datasources._processes import Process

log = logging.getLogger(__name__)


class DataDirInUse(StartFailed):
    """Another gateway works in this directory."""


class Recorded(msgspec.Struct, frozen=True):
    """One child as `endpoints.json` knows it."""

    address: str
    port: int
    fingerprint: str
    pid: int | None = None
    started: str | None = None

    @property
    def process(self) -> Process | None:
        """The process that was recorded, whether it lives or not."""
        return Process(self.pid, self.started) if self.pid and self.started else None


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Own the directory, made here (0700) when missing. The system lets go of it however this process ends.

    Raises: DataDirInUse.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            message = f"{data_dir} is in use by another gateway (pid {owner}): stop it, or set another DATA_DIR"
            raise DataDirInUse(message) from exc
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def read_recorded(data_dir: Path) -> dict[str, Recorded]:
    """`endpoints.json`; empty when missing or unreadable."""
    path = data_dir / "endpoints.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Recorded])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as exc:
        log.warning("%s is unreadable and ignored: %s", path, exc)
        return {}


def write_recorded(data_dir: Path, recorded: Mapping[str, Recorded]) -> None:
    """Replace `endpoints.json` (0600) as a whole, so that a reader never sees half of it."""
    new = data_dir / "endpoints.json.new"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(recorded), indent=2) + b"\n")
    new.replace(data_dir / "endpoints.json")
