from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from bench.processes import cpu_s, pin, split_cores

IDLE = [
    sys.executable,
    "-c",
    "import sys, threading as t; e = t.Event(); t.Thread(target=e.wait, daemon=True).start(); "
    "print('up', flush=True); sys.stdin.read()",
]


def test_cpu_is_all_that_a_process_used() -> None:
    while time.process_time() < 0.2:
        pass
    assert cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)


@pytest.mark.skipif(split_cores() is None, reason="there is one core only, or none can be chosen")
def test_a_process_is_kept_on_its_cores_with_every_thread() -> None:
    cores = split_cores()
    assert cores is not None
    assert cores.server
    assert cores.others
    assert not cores.server & cores.others
    with subprocess.Popen(IDLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        threads = [thread.id for thread in psutil.Process(process.pid).threads()]
        assert len(threads) >= 2
        pin(process.pid, cores.server)
        assert [os.sched_getaffinity(thread) for thread in threads] == [cores.server] * len(threads)
        process.communicate()
