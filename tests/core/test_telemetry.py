"""Log lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from core.backends import BackendName
from core.operation import UpstreamCall
from core.principals import Principal, PrincipalKind
from core.telemetry import JsonLines, Totals, add_calls, caller, configure_logging


def line(message: str = "event", *, exc_info: Any = None, **extra: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "omnistack.x", "msg": message, "levelname": "INFO", **extra})
    record.exc_info = exc_info
    written = JsonLines().format(record)
    assert "\n" not in written
    read: dict[str, Any] = json.loads(written)
    return read


def test_an_event_is_one_line_with_its_fields() -> None:
    written = line("operation", ms=1.5, errors=["FORBIDDEN"], path=("a", 0))
    assert written.pop("time").endswith("+00:00")
    assert written == {
        "level": "INFO",
        "logger": "omnistack.x",
        "event": "operation",
        "ms": 1.5,
        "errors": ["FORBIDDEN"],
        "path": ["a", 0],
    }


def test_what_is_no_json_is_written_in_words() -> None:
    assert line(backend=BackendName.MEDUSA, kind={1})["kind"] == "{1}"


@pytest.mark.parametrize("odd", ["line\nbreak", "quote\"'", "\ud800", "\0", {1: 2}, 10**30])
def test_nothing_that_callers_send_breaks_a_line(odd: Any) -> None:
    assert "odd" in line("event", odd=odd)
    assert line(str(odd))["event"]


def test_an_exception_is_logged_whole() -> None:
    try:
        int("what went wrong")
    except ValueError:
        written = line("masked", exc_info=sys.exc_info())
    assert "Traceback" in written["exception"]
    assert "what went wrong" in written["exception"]


@pytest.fixture
def loggers() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("omnistack")
    handlers, level, own = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own)


@pytest.mark.usefixtures("loggers")
def test_our_events_are_written_and_libraries_only_warn(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("omnistack.operation").info("ours")
    logging.getLogger("omnistack.operation").debug("detail")
    logging.getLogger("httpx").info("GET http://backend.example/?key=hush")
    logging.getLogger("httpx").warning("careful")
    events = [json.loads(text)["event"] for text in capsys.readouterr().err.splitlines()]
    assert events == ["ours", "careful"]


def test_calls_and_milliseconds_are_added_up_by_backend() -> None:
    totals: Totals = {}
    medusa = UpstreamCall(BackendName.MEDUSA, "GET", "/x", 200, 1.25)
    add_calls(totals, [medusa, UpstreamCall(BackendName.OMNISTACK, "find", "users", None, 3)])
    add_calls(totals, [medusa])
    assert totals == {"medusa": {"calls": 2, "ms": 2.5}, "omnistack": {"calls": 1, "ms": 3}}


@pytest.mark.parametrize(
    ("principal", "said"),
    [
        (Principal(PrincipalKind.SERVICE, frozenset()), "service"),
        (Principal(PrincipalKind.PLATFORM, frozenset(), client_app_id="a"), "platform:a"),
        (Principal(PrincipalKind.CLIENT, frozenset(), client_app_id="a", client_id="c"), "client:c"),
        (Principal(PrincipalKind.USER, frozenset(), client_id="c", user_id="u", email="who@mail.example"), "user:u"),
    ],
)
def test_a_caller_is_a_kind_and_an_id_of_ours(principal: Principal, said: str) -> None:
    assert caller(principal) == said
