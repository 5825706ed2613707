"""What was measured, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.load import Load

COLUMNS = "{:>4}  {:<13}  {:>22}  {:>22}  {:>14}  {:>22}  {:>5}"


@dataclass(frozen=True)
class Round:
    """`busy` is the share of one core that the server used; `p50_ms` is what half of the answers stayed within."""

    rps: float
    cpu_ms: float
    upstream_calls: float
    p50_ms: float
    busy: float

    @classmethod
    def of(cls, load: Load, *, cpu_s: float, upstream_calls: float) -> Round:
        """From a load and the seconds of CPU that the server used under it; CPU and calls are per request."""
        return cls(
            rps=load.answers / load.seconds,
            cpu_ms=cpu_s * 1000 / load.answers,
            upstream_calls=upstream_calls,
            p50_ms=median(load.latencies_ms),
            busy=cpu_s / load.seconds,
        )


@dataclass(frozen=True)
class Result:
    """All rounds of one contender, in order."""

    name: str
    rounds: Sequence[Round]


@dataclass(frozen=True)
class Spread:
    """A median between its extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}-{short(self.high)})"


def heading() -> str:
    return COLUMNS.format("n", "contender", "requests/s", "CPU ms/request", "upstream calls", "p50 ms", "busy")


def lines(n: int, first: Result, second: Result) -> Iterator[str]:
    """A line per result, and one with the ratios of the first to the second, round by round."""
    for result in (first, second):
        rounds = result.rounds
        yield COLUMNS.format(
            n,
            result.name,
            str(Spread.of([each.rps for each in rounds])),
            str(Spread.of([each.cpu_ms for each in rounds])),
            short(median(each.upstream_calls for each in rounds)),
            str(Spread.of([each.p50_ms for each in rounds])),
            f"{median(each.busy for each in rounds):.0%}",
        )
    pairs = list(zip(first.rounds, second.rounds, strict=True))
    yield COLUMNS.format(
        "",
        f"{first.name}/{second.name}",
        str(Spread.of([a.rps / b.rps for a, b in pairs])),
        str(Spread.of([a.cpu_ms / b.cpu_ms for a, b in pairs])),
        short(median(a.upstream_calls / b.upstream_calls for a, b in pairs)),
        str(Spread.of([a.p50_ms / b.p50_ms for a, b in pairs])),
        "",
    )


def short(value: float) -> str:
    """Three digits or more: 0.123, 1.23, 12.3, 1234; whole numbers without a fraction."""
    if value >= 100 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
