"""What the sandbox's model says: the same to the same question, and always about it."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_QUOTE = 200
"""Characters of the question that a reply repeats."""
_TOKEN = re.compile(r"\s*\S+|\s+$")
_CLOSINGS = (
    "In a real conversation the answer would stand here.",
    "A real model would look at it more closely.",
    "That is all the sandbox can say about it.",
)


@dataclass(frozen=True)
class Reply:
    """Joined, the tokens are the text."""

    tokens: Sequence[str]
    finish_reason: str
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        completion = len(self.tokens)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }


def question(body: Mapping[str, Any]) -> str:
    """What the user said last; empty when they said nothing."""
    said = [_text(message) for message in body["messages"] if message["role"] == "user"]
    return said[-1] if said else ""


def reply_to(body: Mapping[str, Any]) -> Reply:
    """To a checked request."""
    asked = " ".join(question(body).split())
    quote = asked if len(asked) <= LONGEST_QUOTE else f"{asked[:LONGEST_QUOTE]}…"
    closing = _CLOSINGS[hashlib.sha256(asked.encode()).digest()[0] % len(_CLOSINGS)]
    text = f"You asked: “{quote}” {closing}" if asked else f"You asked nothing. {closing}"
    tokens = _tokens(text)
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or len(tokens)
    return Reply(
        tokens[:limit],
        "stop" if limit >= len(tokens) else "length",
        sum(4 + len(_tokens(_text(message))) for message in body["messages"]) + 3,
    )


def count_tokens(texts: Sequence[str]) -> int:
    return sum(len(_tokens(text)) for text in texts)


def embedding(text: str, dimensions: int) -> list[float]:
    """Of length one, as float32 holds it. Texts that share words lie closer together than those that do not."""
    total = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for (place,) in struct.iter_unpack("<I", hashlib.sha256(word.encode()).digest()):
            total[(place >> 1) % dimensions] += 1 if place & 1 else -1
    length = math.hypot(*total)
    if length == 0:
        total[0] = length = 1.0  # words that cancel each other out
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(value / length for value in total))))


def as_base64(vector: Sequence[float]) -> str:
    """Little-endian float32."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content or ""


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)
