from __future__ import annotations

import pytest

from bench.load import Load
from bench.table import Result, Round, Spread, heading, lines


def test_a_round_is_told_per_request() -> None:
    measured = Round.of(Load(2.0, [5.0, 100.0, 10.0, 15.0]), cpu_s=0.5, upstream_calls=5.0)
    assert measured == Round(rps=2.0, cpu_ms=125.0, upstream_calls=5.0, p50_ms=12.5, busy=0.25)


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([30.0, 10.0, 12.0]) == Spread(median=12.0, low=10.0, high=30.0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.5, "1234"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (5, "5")],
)
def test_figures_keep_three_digits(value: float, shown: str) -> None:
    assert str(Spread(value, value, value)) == f"{shown} ({shown}-{shown})"


def test_ratios_are_taken_round_by_round() -> None:
    def rounds(*rps_and_cpu: tuple[float, float]) -> list[Round]:
        return [Round(rps, cpu_ms, upstream_calls=5, p50_ms=rps, busy=0.9) for rps, cpu_ms in rps_and_cpu]

    # A slow second round of both: the ratio of each round is what counts.
    gateway = Result("gateway", rounds((200, 2), (50, 8), (400, 3)))
    plain = Result("plain", rounds((100, 8), (10, 40), (100, 12)))
    of_gateway, of_plain, ratios = lines(50, gateway, plain)
    assert of_gateway.split() == "50 gateway 200 (50-400) 3 (2-8) 5 200 (50-400) 90%".split()
    assert of_plain.split() == "50 plain 100 (10-100) 12 (8-40) 5 100 (10-100) 90%".split()
    assert ratios.split() == "gateway/plain 4 (2-5) 0.250 (0.200-0.250) 1 4 (2-5)".split()
    assert len(of_gateway) == len(of_plain) == len(ratios) == len(heading())
