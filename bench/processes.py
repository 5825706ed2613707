"""What the operating system knows of a process: the CPU time it used, the cores it may run on."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cores:
    """Which cores the measured server and all the rest run on."""

    server: frozenset[int]
    others: frozenset[int]


def split_cores() -> Cores | None:
    """One core for the server, the rest for the others; None where there is one only, or none can be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others)) if others else None


def pin(pid: int, cores: frozenset[int]) -> None:
    """Keep every thread of a process on these cores. Its children run where they ran; later ones inherit."""
    for thread in psutil.Process(pid).threads():
        try:
            os.sched_setaffinity(thread.id, cores)
        except ProcessLookupError:
            continue  # ended in between


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used so far, its own and the kernel's for it, without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
