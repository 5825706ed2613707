"""Child processes that live as long as the gateway: started, watched, started again, ended.

A gateway that was killed leaves its children running. The next one knows them by `endpoints.json`, goes on with those
that answer and are what it would start itself, and ends the others. Each child leads a session of its own, so a Ctrl-C
in the terminal reaches the gateway alone, which then ends its children, and ending one ends what it started in turn.

What a child prints goes to `logs/<name>.log`. A log beyond `LOG_BYTES` moves to `<name>.log.1`, over the one before.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.errors import StartFailed
from datasources._datadir import Recorded, hold, read_recorded, write_recorded
from datasources._processes import POLL_S, Process, end, free_port, is_free, listens

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
STEADY_AFTER_S = 30.0
"""A child that lived this long begins again with the shortest pause."""
WATCH_S = 0.2
PROBE_S = 2.0
STARTS = 3
LOG_BYTES = 5_000_000
QUOTED_BYTES = 2_000

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""All that a child sees of the gateway's environment, which is full of secrets."""

_WAIT_THEN_RUN = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "sh")
"""Runs its arguments, as the same process, once it reads a line; ends when the writer is gone.

Thus a child runs only after its pid is on record, and no moment to be killed in leaves one that nobody knows.
"""


class ChildFailed(StartFailed):
    """A child ended, or did not get ready in time. The message quotes what it printed last."""


class _DiedEarly(ChildFailed):
    """It ended before it was ready: its port may have been taken, so another start is worth trying."""


@dataclass(frozen=True)
class Child:
    """What to run. `{port}` in `command`, `env` and `address` stands for the port it is given.

    `ready(port)` tells whether it answers; an OSError counts as no. `version` names what the command alone does not
    show, so that a running one of another version is not taken for this one. `clear` are files to remove before each
    start.
    """

    name: str
    command: Sequence[str]
    address: str
    ready: Callable[[int], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    version: str = ""
    clear: Sequence[Path] = ()

    @property
    def fingerprint(self) -> str:
        """Equal for children that are started alike."""
        parts = [list(self.command), sorted(self.env.items()), str(self.cwd), self.version]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class Supervisor:
    """Keeps `children` running in `data_dir` between `start` and `stop`.

    Ports are those of the last time where they are free, and stay the same until `stop`.
    """

    def __init__(
        self, data_dir: Path, children: Sequence[Child], *, ready_within_s: float = 30.0, grace_s: float = 5.0
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.ready_within_s = ready_within_s
        self.grace_s = grace_s
        self._recorded: dict[str, Recorded] = {}
        self._runs = [_Run(child, self) for child in children]
        self._watches: list[asyncio.Task[None]] = []
        self._held = ExitStack()

    async def start(self) -> dict[str, str]:
        """Adopt or start every child at once; their addresses by name when all are ready.

        Raises: DataDirInUse, ChildFailed (then none of them runs).
        """
        self._held.enter_context(hold(self.data_dir))
        try:
            (self.data_dir / "logs").mkdir(mode=0o700, exist_ok=True)
            self._recorded = read_recorded(self.data_dir)
            wanted = {run.child.name for run in self._runs}
            await _all([self._end_unwanted(name) for name in self._recorded.keys() - wanted])
            await _all([run.start() for run in self._runs])
        except BaseException:
            await self.stop()
            raise
        self._watches = [asyncio.create_task(run.watch()) for run in self._runs]
        return {run.child.name: run.address for run in self._runs}

    async def stop(self) -> None:
        """End every child and let go of the directory; safe to repeat."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches = []
        try:
            for failure in await asyncio.gather(*(run.end() for run in self._runs), return_exceptions=True):
                if isinstance(failure, BaseException):
                    log.error("%s", failure)
        finally:
            self._held.close()

    def record(self, name: str, recorded: Recorded | None) -> None:
        if recorded is None:
            self._recorded.pop(name, None)
        else:
            self._recorded[name] = recorded
        write_recorded(self.data_dir, self._recorded)

    def recorded(self, name: str) -> Recorded | None:
        return self._recorded.get(name)

    def pick_port(self, name: str) -> int:
        """A port for a child: its last one where that is free, else one that neither it nor a sibling has."""
        recorded = self.recorded(name)
        if recorded and is_free(recorded.port):
            return recorded.port
        taken = {other.port for other in self._recorded.values()}
        while (port := free_port()) in taken:
            pass
        return port

    async def _end_unwanted(self, name: str) -> None:
        process = self._recorded[name].process
        if process and process.alive():
            log.info("ending %s (pid %d), left by an earlier gateway and no longer needed", name, process.pid)
            await end(process, self.grace_s)
        self.record(name, None)


class _Run:
    """One child of a supervisor: the process that is it now."""

    def __init__(self, child: Child, supervisor: Supervisor) -> None:
        self.child = child
        self._supervisor = supervisor
        self._port = 0
        self._process: Process | None = None
        self._popen: subprocess.Popen[bytes] | None = None  # None for an adopted process, which is not ours to reap
        self._since = 0.0
        self._log = supervisor.data_dir / "logs" / f"{child.name}.log"
        self._log_from = 0

    @property
    def address(self) -> str:
        return self._at_port(self.child.address)

    async def start(self) -> None:
        """Adopt what an earlier gateway left, or start anew, on another port where somebody was quicker."""
        if await self._adopt():
            return
        for attempt in range(1, STARTS + 1):
            self._port = self._supervisor.pick_port(self.child.name)
            try:
                await self._spawn()
            except _DiedEarly as exc:
                if attempt == STARTS:
                    raise
                log.warning("trying again: %s", exc)
            else:
                return

    async def watch(self) -> None:
        """Start the child again whenever it dies, on its port, because clients know no other."""
        pause_s = 0.0
        while True:
            while not self._died():
                await asyncio.sleep(WATCH_S)
                self._bound_log()
            pause_s = pause_after(pause_s, time.monotonic() - self._since)
            log.warning("%s died%s; starting it again in %.1f s", self.child.name, self._status(), pause_s)
            await asyncio.sleep(pause_s)
            try:
                await self.end()  # what it may have left of its group
                await self._spawn()
            except (ChildFailed, OSError) as exc:
                log.error("%s", exc)  # noqa: TRY400 - what the child printed says more than our stack

    async def end(self) -> None:
        """End the process and its group, if there is one, and say so on record.

        Raises: ChildFailed where even SIGKILL does not help.
        """
        process = self._process
        if process is None:
            return
        if not await end(process, self._supervisor.grace_s):
            raise ChildFailed(f"{self.child.name} (pid {process.pid}) cannot be ended")
        if self._popen is not None:
            self._popen.wait()
        self._popen = self._process = None
        log.info("%s (pid %d) ended", self.child.name, process.pid)
        self._record(None)

    async def _adopt(self) -> bool:
        recorded = self._supervisor.recorded(self.child.name)
        process = recorded.process if recorded else None
        if recorded is None or process is None or not process.alive():
            return False
        self._port, self._process, self._since = recorded.port, process, time.monotonic()
        if recorded.fingerprint == self.child.fingerprint and await self._answers():
            log.info("%s (pid %d) was left by an earlier gateway and is adopted", self.child.name, process.pid)
            self._record(process)
            return True
        log.info("%s (pid %d) was left by an earlier gateway and is ended", self.child.name, process.pid)
        await self.end()
        return False

    async def _spawn(self) -> None:
        """Run the child on `_port` and wait until it is ready.

        Raises: ChildFailed; then it does not run any more.
        """
        for path in self.child.clear:
            path.unlink(missing_ok=True)
        self._bound_log()
        popen = self._launch()
        process = Process.of(popen.pid)
        if process is None or popen.stdin is None:
            popen.communicate()
            raise _DiedEarly(f"{self.child.name} could not be started. {self._last_words()}")
        self._popen, self._process, self._since = popen, process, time.monotonic()
        self._record(process)
        with suppress(BrokenPipeError), popen.stdin as starter:
            starter.write(b"\n")
        await self._until_ready()
        log.info("%s (pid %d) is ready at %s", self.child.name, process.pid, self.address)

    def _launch(self) -> subprocess.Popen[bytes]:
        """A process that waits for a line before it becomes the child."""
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        env |= {name: self._at_port(value) for name, value in self.child.env.items()}
        with open(os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as output:
            self._log_from = output.tell()
            return subprocess.Popen(  # noqa: S603 - the command is the program's own
                [*_WAIT_THEN_RUN, *(self._at_port(part) for part in self.child.command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=env,
                cwd=self.child.cwd or self._supervisor.data_dir,
                umask=0o077,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        deadline = self._since + self._supervisor.ready_within_s
        while not self._died():
            if await self._answers() and not self._died():
                return
            if time.monotonic() > deadline:
                await self.end()
                seconds = self._supervisor.ready_within_s
                raise ChildFailed(f"{self.child.name} was not ready within {seconds:g} s. {self._last_words()}")
            await asyncio.sleep(POLL_S)
        status = self._status()
        await self.end()
        raise _DiedEarly(f"{self.child.name} died before it was ready{status}. {self._last_words()}")

    async def _answers(self) -> bool:
        """Whether our own process answers: a stranger on the port may well speak the same protocol."""
        try:
            async with asyncio.timeout(PROBE_S):
                answers = await self.child.ready(self._port)
        except OSError:  # TimeoutError is one
            return False
        return answers and self._process is not None and listens(self._process.pid, self._port)

    def _died(self) -> bool:
        return self._process is None or not self._process.alive()

    def _status(self) -> str:
        # Not yet reaped: a group is signalled once more while nobody else can have its leader's pid.
        if self._popen is None or not hasattr(os, "waitid"):
            return ""
        try:
            ended = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return ""
        if ended is None:
            return ""
        return f" ({'status' if ended.si_code == os.CLD_EXITED else 'signal'} {ended.si_status})"

    def _record(self, process: Process | None) -> None:
        pid, started = (process.pid, process.started) if process else (None, None)
        recorded = Recorded(self.address, self._port, self.child.fingerprint, pid, started)
        self._supervisor.record(self.child.name, recorded)

    def _at_port(self, text: str) -> str:
        return text.replace("{port}", str(self._port))

    def _bound_log(self) -> None:
        with suppress(FileNotFoundError):
            if self._log.stat().st_size > LOG_BYTES:
                # Copied and emptied, not renamed: the child goes on appending to the file it has open.
                shutil.copy(self._log, self._log.with_name(f"{self._log.name}.1"))
                os.truncate(self._log, 0)
                self._log_from = 0

    def _last_words(self) -> str:
        with self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_from, size - QUOTED_BYTES))
            said = file.read().decode(errors="replace").strip()
        return f"Its log, {self._log}, ends with:\n{said}" if said else f"It printed nothing to {self._log}"


def pause_after(last_s: float, lived_s: float) -> float:
    """Seconds to wait before the next start of a child that lived `lived_s` after a pause of `last_s`."""
    if lived_s >= STEADY_AFTER_S or not last_s:
        return FIRST_PAUSE_S
    return min(last_s * 2, LONGEST_PAUSE_S)


async def _all(works: Sequence[Awaitable[None]]) -> None:
    """Wait for all; the first failure, or being cancelled, cancels the others and waits for them too."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
