"""Logging: one JSON line per event, one wide event per operation. Never a token, key, body or address of a person."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from core.operation import UpstreamCall
from core.principals import Principal

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Every `extra` of a record becomes a field of its line."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        event |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(event, default=str).decode()


def configure_logging(level: str) -> None:
    """Everything to stderr as JSON lines; libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("omnistack").setLevel(level)


def upstream_totals(calls: Sequence[UpstreamCall]) -> dict[str, dict[str, float]]:
    """Calls and milliseconds by backend."""
    totals: dict[str, dict[str, float]] = {}
    for call in calls:
        total = totals.setdefault(call.backend.value, {"calls": 0, "ms": 0.0})
        total["calls"] += 1
        total["ms"] = round(total["ms"] + call.ms, 2)
    return totals


def caller(principal: Principal) -> str:
    """Who it was, in a log: a kind and an id of ours, never a name."""
    who = principal.user_id or principal.client_id or principal.client_app_id
    return f"{principal.kind.value.lower()}:{who}" if who else principal.kind.value.lower()
