"""What a route's `data` is made of: what GraphQL answers, or on proxied routes the backend's own JSON of exactly the
rows that GraphQL answers with, in the backend's own kind of list.

Which rows a caller may have is settled when this begins. What is left is to drop what is nobody's to see in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.backends import BackendName
from core.kept import Kept

PAGE = "pageInfo { hasNextPage endCursor }"
NEVER_SHOWN = frozenset(
    """access_token api_key apiKey apiKeyIndex auth_token client_secret device_token drivers_license_number fcm_token
    fingerprint hash internal_notes license_expiry otp password private_key refresh_token remember_token
    resetPasswordToken salt secret session session_token sessions token webhook_secret""".split()
)
"""Names of what lets somebody in, or tells of a person what nobody needs, wherever in a row they stand."""
TOO_BULKY = frozenset({"barcode", "qr_code"})
"""Pictures that Fleetbase repeats in every row; they are made of numbers that the row tells."""
NOT_OF_DRIVERS = frozenset({"email", "user", "user_uuid", "ip_address"})

Data = Any
Paging = Mapping[str, Any]
"""Variables of the request by which it was paged: `limit`, and the row that it begins with as `offset`, if it said."""


@dataclass(frozen=True)
class Found:
    """What there is to make data of: the value of the field, what was kept, and how the request was paged."""

    value: Any
    kept: Kept
    paging: Paging


Shaper = Callable[[Found], Data]


@dataclass(frozen=True)
class Shape:
    """`selection` is what is asked of GraphQL; `make` is given what it answered."""

    selection: str
    make: Shaper


def typed(selection: str) -> Shape:
    """What GraphQL answers, as it is."""
    return Shape(selection, lambda found: found.value)


def typed_rows(selection: str) -> Shape:
    """The rows of a page, and how to go on."""
    return Shape(f"nodes {{ {selection} }} {PAGE} totalCount", lambda found: found.value)


def row(of: type, *, under: str | None = None, selection: str = "id", shows: Sequence[str] = ()) -> Shape:
    """One row as its backend has it, in an object under a name where the backend answers so. `shows` are names that
    this one row may have of those that are never shown."""

    def make(found: Found) -> Data:
        said = _shown(_said(found, of, ("id",), found.value), frozenset(shows))
        return said if under is None else {under: said}

    return Shape(selection, make)


def row_with_lines(of: type, lines_of: type, *, line_key: str, name: str, selection: str, under: str) -> Shape:
    """One row, and its lines in it, which were read apart."""

    def make(found: Found) -> Data:
        said = _said(found, of, ("id",), found.value)
        lines = [line for record, line in found.kept.all(lines_of) if getattr(record, line_key) == found.value["id"]]
        return {under: _shown({**said, name: lines})}

    return Shape(selection, make)


def rows(of: type, listed: Callable[[list[Any], Found], Data], *, by: Sequence[str] = ("id",)) -> Shape:
    """A page of rows as their backend has them, in a list as it makes them. `by` tells them apart."""

    def make(found: Found) -> Data:
        return listed(_rows(found, found.value["nodes"], of, by), found)

    return Shape(f"nodes {{ {' '.join(by)} }} {PAGE} totalCount", make)


def all_rows(of: type, listed: Callable[[list[Any], Found], Data]) -> Shape:
    """As `rows`, of what is no page but everything."""
    return Shape("id", lambda found: listed(_rows(found, found.value, of, ("id",)), found))


def body(backend: BackendName, selection: str) -> Shape:
    """The backend's whole answer, where all of it is the caller's."""
    return Shape(selection, lambda found: _shown(found.kept.body(backend)))


def embeddings() -> Shape:
    """OpenAI's answer, with the vectors as numbers: the gateway has it send them in a shorter way."""

    def make(found: Found) -> Data:
        said = _shown(found.kept.body(BackendName.OPENAI))
        vectors = {each["index"]: each["vector"] for each in found.value}
        return {**said, "data": [{**each, "embedding": vectors[each["index"]]} for each in said["data"]]}

    return Shape("index vector", make)


# -- lists as backends make them ---------------------------------------------------------------------------------------


def medusa_list(name: str) -> Callable[[list[Any], Found], Data]:
    def listed(said: list[Any], found: Found) -> Data:
        total = found.value.get("totalCount") if isinstance(found.value, dict) else len(said)
        page = {"count": total, "offset": found.paging.get("offset", 0), "limit": found.paging["limit"]}
        return {name: said, **page}

    return listed


def fleetbase_list(said: list[Any], found: Found) -> Data:
    return said


def erpnext_list(said: list[Any], found: Found) -> Data:
    return {"data": said}


def stripe_list(said: list[Any], found: Found) -> Data:
    return {"object": "list", "data": said, "has_more": False, "url": "/v1/payment_methods"}


def payload_documents() -> Shape:
    """Documents, of which GraphQL has Payload's own JSON, without what belongs to accounts."""

    def make(found: Found) -> Data:
        limit, total = found.paging["limit"], found.value["totalCount"] or 0
        offset = found.paging.get("offset", 0)
        number, last = offset // limit + 1, max(1, -(-total // limit))
        has_next = found.value["pageInfo"]["hasNextPage"]
        return {
            "docs": [node["data"] for node in found.value["nodes"]],
            "totalDocs": total,
            "limit": limit,
            "totalPages": last,
            "page": number,
            "pagingCounter": offset + 1,
            "hasPrevPage": offset > 0,
            "hasNextPage": has_next,
            "prevPage": number - 1 if offset > 0 else None,
            "nextPage": number + 1 if has_next else None,
        }

    return Shape(f"nodes {{ data }} {PAGE} totalCount", make)


def payload_document() -> Shape:
    """The first document of those that were asked for; None where there is none."""
    return Shape("nodes { data }", lambda found: next((node["data"] for node in found.value["nodes"]), None))


def payload_search() -> Shape:
    """What was found, in whichever collections."""

    def make(found: Found) -> Data:
        return {"docs": [{"relationTo": each["collection"], "value": each["data"]} for each in found.value]}

    return Shape("collection data", make)


# -- rows --------------------------------------------------------------------------------------------------------------


class NotKept(RuntimeError):
    """A row that the caller may have, of which the backend's words are not there: a defect of ours."""


def _rows(found: Found, values: Sequence[Any], of: type, by: Sequence[str]) -> list[Any]:
    kept = found.kept.rows(of, *by)
    return [_shown(_named(kept, tuple(value[name] for name in by))) for value in values]


def _said(found: Found, of: type, by: Sequence[str], value: Any) -> Any:
    return _named(found.kept.rows(of, *by), tuple(value[name] for name in by))


def _named(kept: Mapping[tuple[Any, ...], Any], key: tuple[Any, ...]) -> Any:
    if key not in kept:
        raise NotKept(f"the backend's own words for {key} were not kept")
    return kept[key]


def _shown(said: Any, also: frozenset[str] = frozenset()) -> Any:
    """A row without what nobody may see, at any depth."""
    if isinstance(said, list):
        return [_shown(one, also) for one in said]
    if not isinstance(said, dict):
        return said
    hidden = (NEVER_SHOWN | TOO_BULKY) - also
    if str(said.get("id", "")).startswith("driver_"):
        hidden |= NOT_OF_DRIVERS
    shown = {name: _shown(value, also) for name, value in said.items() if name not in hidden}
    if "categories" in shown:
        shown["categories"] = [one for one in shown["categories"] or () if _is_public(one)]
    if "prices" in shown:
        shown["prices"] = [one for one in shown["prices"] or () if _is_everybodys(one)]
    return shown


def _is_public(category: Any) -> bool:
    """Whether buyers see this category of a shop."""
    return isinstance(category, dict) and category.get("is_active", True) and not category.get("is_internal", False)


def _is_everybodys(price: Any) -> bool:
    """Whether this price is for everybody, and not for some customers only."""
    return isinstance(price, dict) and not price.get("rules") and not price.get("price_rules")
