"""Recorded answers of real backends, and what it means for a simulator to answer alike.

Statuses must be equal. Bodies of successes must have the same shape: the same keys and JSON types, recursively, where
null goes with anything but an absent key does not. Bodies of errors must be equal, ids apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
CUT_LIST = re.compile(r"\.\.\. \d+ more")
"""Recordings keep the start of a long list and this as its last element."""


@dataclass(frozen=True)
class Recording:
    """One exchange with a real backend. `method` is empty for a summary of many exchanges; then only `raw` counts."""

    backend: str
    name: str
    method: str
    path: str
    """As sent, query included."""
    headers: dict[str, str]
    """Of the request; credentials are blanked out."""
    sent: Any
    status: int
    answer_headers: dict[str, str]
    answer: Any
    """Decoded JSON, or text."""
    raw: dict[str, Any] = field(repr=False)


def load(backend: str) -> dict[str, Recording]:
    """Every recording of a backend by its name; empty where there are no recordings at all."""
    return {path.stem: _read(backend, path) for path in sorted((RECORDED / backend).glob("*.json"))}


def _read(backend: str, path: Path) -> Recording:
    kept = json.loads(path.read_text())
    raw: dict[str, Any] = kept if isinstance(kept, dict) else {"exchanges": kept}
    request, response = raw.get("request", {}), raw.get("response", {})
    return Recording(
        backend=backend,
        name=path.stem,
        method=request.get("method", ""),
        path=request.get("path", ""),
        headers=request.get("headers", {}),
        sent=request.get("body"),
        status=response.get("status", 0),
        answer_headers=response.get("headers", {}),
        answer=response.get("body"),
        raw=raw,
    )


def compare(
    recording: Recording, status: int, answer: Any, *, ids: re.Pattern[str], free_form: Collection[str] = ()
) -> list[str]:
    """How an answer differs from the recorded one, a line per difference; empty when it conforms.

    `ids` matches what may differ within an error's texts; below the keys in `free_form` any object will do.
    """
    if status != recording.status:
        return [f"status {status} instead of {recording.status}: {answer!r:.300}"]
    if status >= 400 or isinstance(recording.answer, str):
        expected, got = (_without_ids(body, ids) for body in (recording.answer, answer))
        return [] if expected == got else [f"body {got!r} instead of {expected!r}"]
    return shape_differences(recording.answer, answer, free_form=free_form)


def shape_differences(recorded: Any, answered: Any, *, free_form: Collection[str] = ()) -> list[str]:
    """Where two JSON values differ in keys or types, as `$.path.to[]: what`. Lists compare by all their elements."""
    return _differences(_shape(recorded), _shape(answered), "$", frozenset(free_form))


def _without_ids(body: Any, ids: re.Pattern[str]) -> Any:
    if isinstance(body, dict):
        return {key: _without_ids(value, ids) for key, value in body.items()}
    if isinstance(body, list):
        return [_without_ids(value, ids) for value in body]
    return ids.sub("<id>", body) if isinstance(body, str) else body


@dataclass
class _Shape:
    """What some values at one place look like together."""

    kinds: set[str] = field(default_factory=set)
    keys: dict[str, _Shape] = field(default_factory=dict)
    element: _Shape | None = None

    def take(self, value: Any) -> None:
        if isinstance(value, dict):
            self.kinds.add("object")
            for key, below in value.items():
                self.keys.setdefault(key, _Shape()).take(below)
        elif isinstance(value, list):
            self.kinds.add("list")
            self.element = self.element or _Shape()
            for below in value:
                if not (isinstance(below, str) and CUT_LIST.fullmatch(below)):
                    self.element.take(below)
        elif isinstance(value, bool):
            self.kinds.add("boolean")
        elif isinstance(value, int | float):
            self.kinds.add("number")
        elif value is not None:
            self.kinds.add("string")


def _shape(value: Any) -> _Shape:
    shape = _Shape()
    shape.take(value)
    return shape


def _differences(recorded: _Shape, answered: _Shape, path: str, free_form: frozenset[str]) -> list[str]:
    if not recorded.kinds or not answered.kinds:
        return []
    if not answered.kinds <= recorded.kinds:
        return [f"{path}: {'|'.join(sorted(answered.kinds))} instead of {'|'.join(sorted(recorded.kinds))}"]
    found = []
    if "object" in answered.kinds:
        found += [f"{path}.{key}: missing" for key in recorded.keys if key not in answered.keys]
        found += [f"{path}.{key}: not in the recording" for key in answered.keys if key not in recorded.keys]
    for key, below in recorded.keys.items():
        if key in answered.keys and key not in free_form:
            found += _differences(below, answered.keys[key], f"{path}.{key}", free_form)
    if recorded.element and answered.element:
        found += _differences(recorded.element, answered.element, f"{path}[]", free_form)
    return found
