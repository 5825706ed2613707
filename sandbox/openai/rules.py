"""What the real API refuses about a request's body, in its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHAT_MODELS = ("gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini", "o4-mini")
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Of embedding models, their usual size."""

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
MAX_INPUTS = 2048
_REASONING = re.compile(r"(gpt-5|o\d)")
_CHAT_FIELDS = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()
)
_PLAYED = frozenset(
    """max_completion_tokens max_tokens messages metadata model n prompt_cache_key safety_identifier seed service_tier
    store stream stream_options temperature top_p user""".split()
)
"""Those that the sandbox heeds, or may leave aside without a lie."""
_EMBEDDING_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}


@dataclass
class Refused(Exception):
    """An error answer."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def check_chat(body: Mapping[str, Any]) -> None:
    """Raises Refused."""
    _check_fields(body, _CHAT_FIELDS)
    model = _model(body, CHAT_MODELS)
    _check_messages(body.get("messages"))
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, "a decimal")
        if not low <= value <= high:
            raise Refused(400, f"Invalid '{name}': expected a value from {low} to {high}, but got {value}.", name)
    for name in ("max_tokens", "max_completion_tokens"):
        _check_count(body, name)
    if _REASONING.match(model):
        if body.get("max_tokens") is not None:
            raise Refused(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                "instead.",
                "max_tokens",
                "unsupported_parameter",
            )
        if body.get("temperature") not in (None, 1):
            raise Refused(
                400,
                f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the "
                "default (1) value is supported.",
                "temperature",
                "unsupported_value",
            )
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    for name in body:
        if body[name] is not None and (name not in _PLAYED or (name == "n" and body[name] != 1)):
            raise Refused(501, f"The sandbox does not support '{name}'.", name, type="not_simulated")


def check_embeddings(body: Mapping[str, Any]) -> list[str]:
    """The texts. Raises Refused."""
    _check_fields(body, _EMBEDDING_FIELDS)
    model = _model(body, DIMENSIONS)
    if "input" not in body:
        raise _missing("input")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_INPUTS or not all(map(_is_filled, texts)):
        raise Refused(400, "'$.input' is invalid. Please check the API reference.", "input")
    if body.get("encoding_format", "float") not in ("float", "base64"):
        raise Refused(400, "Invalid value for 'encoding_format': expected 'float' or 'base64'.", "encoding_format")
    _check_count(body, "dimensions")
    if body.get("dimensions") is not None and not model.startswith("text-embedding-3"):
        raise Refused(400, "This model does not support specifying dimensions.", "dimensions")
    if (body.get("dimensions") or 1) > DIMENSIONS[model]:
        raise Refused(400, f"Invalid value for 'dimensions': {model} has {DIMENSIONS[model]}.", "dimensions")
    return texts


def _check_messages(messages: Any) -> None:
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects")
    if not messages:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array."
        raise Refused(400, message, "messages", "empty_array")
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise _wrong_type(path, "an object")
        if message.get("role") not in ROLES:
            told = ", ".join(f"'{role}'" for role in ROLES)
            raise Refused(
                400,
                f"Invalid value: {message.get('role')!r}. Supported values are: {told}.",
                f"{path}.role",
                "invalid_value",
            )
        if message["role"] != "assistant" and not isinstance(message.get("content"), str | list):
            raise Refused(400, f"Invalid value for 'content': expected a string, got {path}.", f"{path}.content")
    _check_tool_calls(messages)


def _check_tool_calls(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each call is answered before the conversation goes on."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                told = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise Refused(400, f"Invalid parameter: {told}", f"messages.[{index}].role")
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            break
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
    if open_calls:
        told = "An assistant message with 'tool_calls' must be followed by tool messages responding to each of them."
        raise Refused(400, told, "messages")


def _check_fields(body: Mapping[str, Any], known: Collection[str]) -> None:
    for name in body:
        if name not in known:
            raise Refused(400, f"Unrecognized request argument supplied: {name}")


def _model(body: Mapping[str, Any], known: Collection[str]) -> str:
    model = body.get("model")
    if not isinstance(model, str):
        raise Refused(400, "you must provide a model parameter")
    if model not in known:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refused(404, message, code="model_not_found")
    return model


def _check_count(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "an integer")
    if value < 1:
        raise Refused(400, f"Invalid '{name}': integer below minimum value.", name, "integer_below_min_value")


def _missing(name: str) -> Refused:
    return Refused(400, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _wrong_type(name: str, expected: str) -> Refused:
    return Refused(400, f"Invalid type for '{name}': expected {expected}.", name, "invalid_type")


def _is_filled(text: object) -> bool:
    return isinstance(text, str) and bool(text)
