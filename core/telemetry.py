"""Logging: one JSON line per event, one wide event per operation. Never a token, key, body or address of a person."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

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
        # Not orjson, which refuses what callers can send: half of a surrogate pair, numbers beyond 64 bits.
        return json.dumps(event, default=str, skipkeys=True, separators=(",", ":"))


def configure_logging(level: str) -> None:
    """Everything to stderr as JSON lines; libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for ours in ("omnistack", "datasources", "workflows"):
        logging.getLogger(ours).setLevel(level)


Totals = dict[str, dict[str, float]]


def add_calls(totals: Totals, calls: Sequence[UpstreamCall]) -> None:
    """Count these into `totals`: calls and milliseconds by backend."""
    for call in calls:
        total = totals.setdefault(call.backend.value, {"calls": 0, "ms": 0.0})
        total["calls"] += 1
        total["ms"] = round(total["ms"] + call.ms, 2)


def caller(principal: Principal) -> str:
    """Who it was, in a log: a kind and an id of ours, never a name."""
    who = principal.user_id or principal.client_id or principal.client_app_id
    return f"{principal.kind.value.lower()}:{who}" if who else principal.kind.value.lower()
