"""Which requests a wallet may be led to: what stands in one makes the wallet call addresses inside our network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from core.errors import BadUserInput
from datasources.waltid import Waltid

LONGEST = 8192
SCHEME = "openid4vp"
KNOWN = frozenset(
    "response_type client_id client_id_scheme client_metadata response_mode response_uri state nonce "
    "presentation_definition presentation_definition_uri".split()
)
"""What a request may be made of. Whatever else there is would be an address, or lead to one."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True)
class PresentationRequest:
    """`state` is the session of the verifier, where `is_ours`."""

    url: str
    state: str
    is_ours: bool


def checked_request(field: str, url: str, waltid: Waltid, hosts: Sequence[str]) -> PresentationRequest:
    """A request whose every address is our own verifier's, or every one at one of these hosts.

    Raises BadUserInput.
    """
    no_request = BadUserInput(f"`{field}` is no request of a verifier, such as openid4vp://authorize?…")
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise no_request
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as exc:
        raise no_request from exc
    said = dict(pairs)
    if parts.scheme != SCHEME or parts.fragment or len(said) != len(pairs):
        raise no_request
    if unknown := sorted(said.keys() - KNOWN):
        raise BadUserInput(f"`{field}` holds {unknown[0][:40]}, which leads somewhere else")
    mode, state = said.get("response_mode", ""), said.get("state", "")
    if said.get("response_type") != "vp_token" or not mode.startswith("direct_post") or not state:
        raise no_request
    if "response_uri" not in said or not {"presentation_definition", "presentation_definition_uri"} & said.keys():
        raise no_request
    addresses = list(_addresses(field, said))
    if all(map(waltid.is_of_verifier, addresses)):
        return PresentationRequest(url, state, is_ours=True)
    if all(_is_at(address, hosts) for address in addresses):
        return PresentationRequest(url, state, is_ours=False)
    raise BadUserInput(f"`{field}` leads to a verifier that wallets may not present to")


def _addresses(field: str, said: dict[str, str]) -> Iterator[str]:
    """Everything in it that anybody could call."""
    for name, value in said.items():
        if name in ("presentation_definition", "client_metadata"):
            try:
                yield from _within(orjson.loads(value))
            except ValueError as exc:
                raise BadUserInput(f"`{field}` holds a {name} that is no JSON") from exc
        elif name.endswith("_uri") or (name in ("client_id", "state", "nonce") and "://" in value):
            yield value


def _within(value: Any) -> Iterator[str]:
    match value:
        case str() if "://" in value or (_ADDRESS.match(value) and "//" in value):
            yield value
        case dict():
            for inner in value.values():
                yield from _within(inner)
        case list():
            for inner in value:
                yield from _within(inner)


def _is_at(address: str, hosts: Sequence[str]) -> bool:
    try:
        parts = urlsplit(address)
        netloc = parts.netloc.lower()
    except ValueError:
        return False
    return parts.scheme == "https" and "@" not in netloc and netloc in {host.lower() for host in hosts}
