"""Inputs that several domains share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.errors import BadUserInput
from schema.inputs import instant


def test_an_instant_is_in_utc() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert str(instant(noon)) == "2026-07-01 10:00:00+00:00"
    assert instant(datetime(2026, 7, 1, 12)) == datetime(2026, 7, 1, 12, tzinfo=UTC)  # noqa: DTZ001 - as callers write
    assert instant(None) is None


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
)
def test_an_instant_that_utc_does_not_have_is_the_callers_mistake(moment: datetime) -> None:
    with pytest.raises(BadUserInput, match="out of range"):
        instant(moment)
