"""Supervision, with small Python programs as children."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from datasources import _children
from datasources._children import Child, ChildFailed, Supervisor, pause_after
from datasources._datadir import DataDirInUse, Recorded, hold, read_recorded, write_recorded
from datasources._processes import Process, end, free_port, is_free

ROOT = Path(__file__).resolve().parents[2]

GREETER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("greeting", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello")
    connection.close()
"""


async def greets(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read() == b"hello"
    finally:
        writer.close()


GATEWAY = f"""
import asyncio, json, sys
from pathlib import Path
from datasources._children import Child, Supervisor
{inspect.getsource(greets)}
async def main():
    child = Child("greeter", json.loads(sys.argv[2]), "127.0.0.1:{{port}}", greets)
    supervisor = Supervisor(Path(sys.argv[1]), [child])
    await supervisor.start()
    print("up", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await supervisor.stop()
asyncio.run(main())
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, "{port}"]


def greeter(
    name: str = "greeter", before: str = "", *, version: str = "", env: Mapping[str, str] | None = None
) -> Child:
    """A child that says hello to whoever connects, after running `before`."""
    return Child(name, python(before + GREETER), "127.0.0.1:{port}", greets, env or {}, version=version)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(data_dir: Path, *children: Child, grace_s: float = 5.0) -> AsyncIterator[dict[str, str]]:
    supervisor = Supervisor(data_dir, children, ready_within_s=10, grace_s=grace_s)
    try:
        yield await supervisor.start()
    finally:
        await supervisor.stop()


def process_of(data_dir: Path, name: str = "greeter") -> Process:
    process = read_recorded(data_dir)[name].process
    assert process is not None
    return process


def port_of(data_dir: Path, name: str = "greeter") -> int:
    return read_recorded(data_dir)[name].port


@contextmanager
def gateway(data_dir: Path, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that supervises one child and is up; leads a process group as a terminal's job does."""
    arguments = [sys.executable, "-c", GATEWAY, str(data_dir), json.dumps(command)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=env, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
async def orphan(tmp_path: Path) -> AsyncIterator[Process]:
    """A greeter whose gateway was killed; `tmp_path` is the data directory."""
    with gateway(tmp_path, greeter().command) as killed:
        killed.kill()
    process = process_of(tmp_path)
    assert process.alive()
    yield process
    if process.alive():
        await end(process, 0.1)


async def test_children_are_ready_where_their_addresses_say(tmp_path: Path) -> None:
    async with running(tmp_path, greeter("one"), greeter("two")) as addresses:
        assert set(addresses) == {"one", "two"}
        for address in addresses.values():
            assert await greets(int(address.rpartition(":")[2]))
        assert {name: recorded.address for name, recorded in read_recorded(tmp_path).items()} == addresses


async def test_stop_ends_the_child_and_all_it_started(tmp_path: Path) -> None:
    stubborn = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ok", flush=True)
time.sleep(600)
"""
    before = f"""
import subprocess, sys
helper = subprocess.Popen([sys.executable, "-c", {stubborn!r}], stdout=subprocess.PIPE)
helper.stdout.readline()
print("helper", helper.pid, flush=True)
"""
    async with running(tmp_path, greeter(before=before)):
        said = (tmp_path / "logs/greeter.log").read_text().split()
        helper = Process.of(int(said[said.index("helper") + 1]))
        assert helper is not None
        assert helper.alive()
        child = process_of(tmp_path)
    assert not child.alive()
    await until(lambda: not helper.alive())
    assert read_recorded(tmp_path)["greeter"].process is None


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    before = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    async with running(tmp_path, greeter(before=before), grace_s=0.1):
        child = process_of(tmp_path)
    assert not child.alive()


async def test_a_child_that_dies_is_started_again_on_its_port(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path, greeter()):
        first, port = process_of(tmp_path), port_of(tmp_path)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: "greeter died (signal 9)" in caplog.text)
        await until(lambda: read_recorded(tmp_path)["greeter"].process not in (None, first))
        assert port_of(tmp_path) == port
        await until(lambda: not is_free(port))
        assert await greets(port)


async def test_a_child_that_fails_to_come_back_is_tried_until_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    before = f"import os\nif os.path.exists({str(broken)!r}): raise SystemExit('out of order')\n"
    async with running(tmp_path, greeter(before=before)):
        port = port_of(tmp_path)
        broken.touch()
        os.kill(process_of(tmp_path).pid, signal.SIGKILL)
        await until(lambda: "out of order" in caplog.text)
        broken.unlink()
        await until(lambda: not is_free(port))
        assert await greets(port)


@pytest.mark.parametrize(
    ("last_s", "lived_s", "pause_s"),
    [(0, 0, 0.2), (0.2, 0.1, 0.4), (6.4, 29, 10), (10, 1, 10), (10, 30, 0.2)],
)
def test_pauses_double_up_to_a_limit_and_begin_again_after_a_steady_life(
    last_s: float, lived_s: float, pause_s: float
) -> None:
    assert pause_after(last_s, lived_s) == pause_s


async def test_a_child_sees_no_secret_of_the_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_secret")
    before = "import os; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items()), flush=True)\n"
    async with running(tmp_path, greeter(before=before, env={"LISTEN": "on {port}"})):
        seen = (tmp_path / "logs/greeter.log").read_text()
    assert f"LISTEN=on {port_of(tmp_path)}\n" in seen
    assert f"PATH={os.environ['PATH']}\n" in seen
    assert "STRIPE" not in seen
    assert "sk_live_secret" not in seen


async def test_a_child_that_cannot_start_fails_the_start_in_its_own_words(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, [greeter("fine"), greeter("broken", "raise SystemExit('no such table: jam')\n")])
    with pytest.raises(ChildFailed, match=r"(?s)broken died before it was ready \(status 1\).*no such table: jam"):
        await supervisor.start()
    assert read_recorded(tmp_path)["fine"].process is None
    with hold(tmp_path):
        pass  # nobody holds it any more


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    child = Child("ghost", [str(tmp_path / "no-such-program")], "127.0.0.1:{port}", greets)
    with pytest.raises(ChildFailed, match=r"(?s)ghost died.*no-such-program"):
        await Supervisor(tmp_path, [child]).start()


async def test_a_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    child = Child("mute", python("import time; print('thinking', flush=True); time.sleep(600)"), "", greets)
    with pytest.raises(ChildFailed, match=r"(?s)mute was not ready within 0.5 s.*thinking"):
        await Supervisor(tmp_path, [child], ready_within_s=0.5).start()
    assert read_recorded(tmp_path)["mute"].process is None


async def test_a_start_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    child = Child("mute", python("import time; time.sleep(600)"), "", greets)
    start = asyncio.create_task(Supervisor(tmp_path, [child]).start())
    await until(lambda: "mute" in read_recorded(tmp_path))
    process = process_of(tmp_path, "mute")
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not process.alive()


async def test_ctrl_c_reaches_the_gateway_which_ends_its_children(tmp_path: Path) -> None:
    with gateway(tmp_path, greeter().command) as foreground:
        child = process_of(tmp_path)
        assert os.getpgid(child.pid) != os.getpgid(foreground.pid)
        os.killpg(foreground.pid, signal.SIGINT)
        await until(lambda: foreground.poll() is not None)
    assert not child.alive()
    assert read_recorded(tmp_path)["greeter"].process is None


async def test_an_orphan_that_answers_is_adopted_watched_and_ended(tmp_path: Path, orphan: Process) -> None:
    port = port_of(tmp_path)
    async with running(tmp_path, greeter()):
        assert process_of(tmp_path) == orphan
        os.kill(orphan.pid, signal.SIGKILL)
        await until(lambda: read_recorded(tmp_path)["greeter"].process not in (None, orphan))
        second = process_of(tmp_path)
        assert port_of(tmp_path) == port
    assert not second.alive()


async def test_an_adopted_orphan_ends_with_its_new_gateway(tmp_path: Path, orphan: Process) -> None:
    async with running(tmp_path, greeter()):
        assert orphan.alive()
    assert not orphan.alive()


async def test_an_orphan_of_another_version_is_replaced_on_its_port(tmp_path: Path, orphan: Process) -> None:
    port = port_of(tmp_path)
    async with running(tmp_path, greeter(version="2")):
        assert not orphan.alive()
        assert process_of(tmp_path) != orphan
        assert port_of(tmp_path) == port


async def test_an_orphan_that_does_not_answer_is_replaced(tmp_path: Path, orphan: Process) -> None:
    os.kill(orphan.pid, signal.SIGSTOP)
    async with running(tmp_path, greeter(), grace_s=0.1):
        assert not orphan.alive()
        assert await greets(port_of(tmp_path))


async def test_an_orphan_that_nobody_needs_is_ended(tmp_path: Path, orphan: Process) -> None:
    async with running(tmp_path, greeter("other")):
        assert not orphan.alive()
        assert set(read_recorded(tmp_path)) == {"other"}


@pytest.fixture
def stranger() -> Iterator[Process]:
    """A process that is nobody's child here, and leads its group as ours do."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as popen:
        process = Process.of(popen.pid)
        assert process is not None
        yield process


async def test_a_stranger_with_a_recorded_pid_is_left_alone(tmp_path: Path, stranger: Process) -> None:
    earlier = Recorded("127.0.0.1:1", free_port(), greeter().fingerprint, stranger.pid, "long ago")
    write_recorded(tmp_path, {"greeter": earlier, "unwanted": earlier})
    async with running(tmp_path, greeter()):
        assert process_of(tmp_path).pid != stranger.pid
    Process(stranger.pid, "long ago").signal_group(signal.SIGKILL)
    assert stranger.alive()


def test_a_child_does_not_run_before_it_is_on_record(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = [*_children._WAIT_THEN_RUN, "touch", str(ran)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as waiting:
        waiting.communicate(timeout=10)  # as when the gateway dies: the pipe ends without a line
    assert not ran.exists()
    subprocess.run(command, input=b"\n", timeout=10, check=True)
    assert ran.exists()


async def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    async with running(tmp_path, greeter()):
        port = port_of(tmp_path)
    with socket.create_server(("127.0.0.1", port)):
        async with running(tmp_path, greeter()):
            assert port_of(tmp_path) != port
            assert await greets(port_of(tmp_path))


async def test_somebody_quicker_on_the_port_is_not_taken_for_the_child(tmp_path: Path) -> None:
    """He even answers as the child would."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    class Outrun(Supervisor):
        def pick_port(self, name: str) -> int:
            return taken if self.recorded(name) is None else super().pick_port(name)

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as stranger:
        taken: int = stranger.sockets[0].getsockname()[1]
        supervisor = Outrun(tmp_path, [greeter()], ready_within_s=10)
        try:
            address = (await supervisor.start())["greeter"]
            assert address != f"127.0.0.1:{taken}"
            assert await greets(int(address.rpartition(":")[2]))
        finally:
            await supervisor.stop()


async def test_two_gateways_never_share_a_directory(tmp_path: Path) -> None:
    with gateway(tmp_path, greeter().command) as first:
        with pytest.raises(DataDirInUse, match=rf"another gateway \(pid {first.pid}\)"):
            await Supervisor(tmp_path, [greeter()]).start()
        assert process_of(tmp_path).alive()
        first.terminate()
        first.wait(10)
    process = process_of(tmp_path)  # SIGTERM without a handler is a death like any other
    async with running(tmp_path, greeter()):
        assert process_of(tmp_path) == process


async def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "new"
    async with running(data_dir, greeter(before="import os; os.close(os.open('rows.db', os.O_CREAT, 0o666))\n")):
        modes = {path.relative_to(data_dir): stat.S_IMODE(path.stat().st_mode) for path in data_dir.rglob("*")}
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert modes == {
        Path("lock"): 0o600,
        Path("endpoints.json"): 0o600,
        Path("rows.db"): 0o600,
        Path("logs"): 0o700,
        Path("logs/greeter.log"): 0o600,
    }


async def test_an_unreadable_record_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "endpoints.json").write_text('{"greeter": {"port"')
    async with running(tmp_path, greeter()):
        assert await greets(port_of(tmp_path))
    assert "unreadable" in caplog.text


async def test_a_log_does_not_grow_without_bound(tmp_path: Path) -> None:
    line, log = "x" * 999, tmp_path / "logs/greeter.log"
    before = f"for _ in range({_children.LOG_BYTES // 1000 + 1}): print({line!r})\n"
    async with running(tmp_path, greeter(before=before)):
        await until(lambda: log.stat().st_size == 0)
        assert (tmp_path / "logs/greeter.log.1").stat().st_size > _children.LOG_BYTES
        assert stat.S_IMODE((tmp_path / "logs/greeter.log.1").stat().st_mode) & 0o077 == 0
