"""How Fleetbase refuses: business rules and validation under `error`, its framework under `errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refusal(Exception):
    """An error answer: HTTP status and JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


def rejected(message: str) -> Refusal:
    """A business rule says no."""
    return Refusal(400, {"error": message})


def not_found(label: str) -> Refusal:
    """No row has this id; `label` is the resource's name, such as `Order`."""
    return Refusal(404, {"error": f"{label} resource not found."})


def invalid(messages: Sequence[str]) -> Refusal:
    """Validation failed. `errors` is there only when there is more than one message."""
    body: dict[str, Any] = {"error": messages[0]}
    if len(messages) > 1:
        body["errors"] = list(messages)
    return Refusal(422, body)


def framework(status: int, message: str) -> Refusal:
    return Refusal(status, {"errors": [message]})


def unsupported(what: str) -> Refusal:
    """The real Fleetbase may do this; the simulator does not."""
    return framework(501, f"The sandbox does not support {what}.")
