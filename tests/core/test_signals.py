"""Signals within a process."""

from __future__ import annotations

import logging

import pytest

from core.signals import LocalSignals


async def test_a_signal_is_heard_before_sending_ends_by_those_of_its_topic_alone() -> None:
    signals, heard = LocalSignals(), list[str]()
    signals.on("keys", lambda: heard.append("keys"))
    end = signals.on("keys", lambda: heard.append("keys too"))
    signals.on("users", lambda: heard.append("users"))
    await signals.send("keys")
    end()
    await signals.send("keys")
    await signals.send("nobody listens")
    assert heard == ["keys", "keys too", "keys"]


async def test_a_hearer_that_fails_is_logged_and_keeps_no_other_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    signals, heard = LocalSignals(), list[str]()

    def fail() -> None:
        raise RuntimeError("out of order")

    signals.on("keys", fail)
    signals.on("keys", lambda: heard.append("keys"))
    with caplog.at_level(logging.ERROR, "omnistack.signals"):
        await signals.send("keys")
    assert heard == ["keys"]
    assert "a hearer failed" in caplog.text
