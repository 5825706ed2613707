"""The ERPNext simulator answers every recorded request as the real site did.

A site like the recorded one is built, the recordings are replayed in their order (they change state), and each answer
is compared: status, shape, and every value that is not an id, a time or a user.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox import erpnext
from sandbox.erpnext.seeding import basics, company
from sandbox.erpnext.unit import USER, Unit
from sandbox.keys import ERPNEXT_API_KEY, ERPNEXT_API_SECRET
from sandbox.store import Store
from sandbox.world import World
from tests.conformance.recordings import CUT_LIST, RECORDED, Recording, compare, load

pytestmark = pytest.mark.conformance

RECORDINGS = load("erpnext")
SUMMARIES = {"item_update_parallel": "four PUTs at once: compared by test_parallel_updates_all_succeed"}

TOKEN = f"{ERPNEXT_API_KEY}:{ERPNEXT_API_SECRET}"
BASIC = base64.b64encode(TOKEN.encode()).decode()
CREDENTIALS = {
    "auth_basic": f"Basic {BASIC}",
    "auth_bearer": f"Bearer {TOKEN}",
    "auth_bad_key": f"token nobody:{ERPNEXT_API_SECRET}",
    "auth_bad_secret": f"token {ERPNEXT_API_KEY}:wrong",
    "auth_malformed": "token malformed",
}
"""Credentials are blanked in the recordings; all others used a good token."""

CUT_TEXT = re.compile(r"([0-9a-f]*)\.\.\. \d+ more characters\Z")
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
DAY = r"\d{4}-\d\d-\d\d"
SERIES = r"(?<=SAL-ORD-)\d{4}"
IDS = re.compile(rf"\b[0-9a-f]{{56}}\b|\bv[0-9a-z]{{9}}\b|{TIME}|{DAY}|{SERIES}")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


def chronological() -> list[str]:
    """The names in INDEX.md, which lists the recordings as they were made."""
    index = RECORDED / "erpnext" / "INDEX.md"
    rows = index.read_text().splitlines() if index.exists() else []
    return [match[1] for row in rows if (match := re.match(r"\| (\w+) \| [A-Z]+ \|", row))]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site() -> AsyncIterator[httpx.AsyncClient]:
    """A site with the recorded one's company, thirty items, three customers and six draft orders."""
    store = Store(None)
    model = World(datetime.now(UTC)).clients[1]
    with store.transaction():
        unit = Unit(store)
        basics(unit)
        company(unit, replace(model, company="Acc GmbH", company_abbr="AG", default_currency="EUR"))
        unit.write()
    transport = httpx.ASGITransport(app=erpnext.create_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        good = {"authorization": f"token {TOKEN}"}
        for n in range(30):
            item = {"item_code": f"ITEM-{n:03d}", "item_name": f"Item {n}", "standard_rate": 10 + n}
            await _post(client, "Item", item | {"item_group": "Products", "stock_uom": "Nos"}, good)
        for n in range(3):
            await _post(client, "Customer", {"customer_name": f"Customer {n}", "customer_type": "Company"}, good)
        for n in range(6):
            line = {"item_code": f"ITEM-{n:03d}", "qty": n + 1, "rate": 10}
            order = {"customer": f"Customer {n % 3}", "delivery_date": "2026-12-24", "items": [line]}
            await _post(client, "Sales Order", order, good)
        yield client
    store.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def answers(site: httpx.AsyncClient) -> dict[str, Answer]:
    """What the simulator says to each recorded request, by the recording's name."""
    return {name: await _replay(site, RECORDINGS[name]) for name in chronological()}


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name not in SUMMARIES])
async def test_answers_as_recorded(name: str, answers: dict[str, Answer]) -> None:
    assert name in answers, f"{name} is not in INDEX.md"
    answer = answers[name]
    recording, body = _without_secrets(RECORDINGS[name], answer.body)
    assert compare(recording, answer.status, body, ids=IDS) == []
    assert _values(recording.answer, body) == []


async def test_parallel_updates_all_succeed(site: httpx.AsyncClient) -> None:
    recorded = RECORDINGS["item_update_parallel"].raw
    headers = {"authorization": f"token {TOKEN}"}
    puts = [
        site.put("/api/resource/Item/ITEM-009", json={"item_name": f"Renamed {n}"}, headers=headers)
        for n in range(len(recorded["statuses"]))
    ]
    assert [answer.status_code for answer in await asyncio.gather(*puts)] == recorded["statuses"]


def test_every_file_is_replayed_or_excused() -> None:
    files = {path.stem for path in Path(RECORDED / "erpnext").glob("*.json")}
    assert files == set(chronological()) | set(SUMMARIES)


async def _post(client: httpx.AsyncClient, doctype: str, doc: dict[str, Any], headers: dict[str, str]) -> None:
    (await client.post(f"/api/resource/{doctype}", json=doc, headers=headers)).raise_for_status()


async def _replay(client: httpx.AsyncClient, recording: Recording) -> Answer:
    year = f"SAL-ORD-{datetime.now(UTC).year}"
    headers = {key: value for key, value in recording.headers.items() if key != "authorization"}
    if "authorization" in recording.headers:
        headers["authorization"] = CREDENTIALS.get(recording.name, f"token {TOKEN}")
    content = None
    if recording.sent is not None:
        content = recording.sent if isinstance(recording.sent, str) else json.dumps(recording.sent)
        headers["content-type"] = "application/json"
    path = re.sub(r"SAL-ORD-\d{4}", year, recording.path)
    response = await client.request(recording.method, path, headers=headers, content=content)
    assert response.headers["content-type"] == recording.answer_headers["content-type"]
    return Answer(response.status_code, response.json())


def _without_secrets(recording: Recording, body: Any) -> tuple[Recording, Any]:
    """Both sides without what no simulator can repeat: tracebacks, users, and where the recording cut a long text."""
    recorded = recording.answer
    if recording.status >= 400:
        recorded, body = dict(recorded), dict(body)
        if "exc" in recorded and "exc" in body:
            assert "Traceback" in json.loads(body["exc"])[0]
            recorded["exc"] = body["exc"] = "<traceback>"
        messages = recorded.get("_server_messages", "")
        if "_server_messages" in body and (cut := CUT_TEXT.search(messages)):
            kept = IDS.sub("<id>", messages[: cut.start()])
            recorded["_server_messages"] = kept
            body["_server_messages"] = IDS.sub("<id>", body["_server_messages"])[: len(kept)]
    return replace(recording, answer=recorded), body


def _values(recorded: Any, answered: Any, path: str = "$") -> list[str]:
    """Where values differ, ids, times and users apart; a cut list must be as long as the recorded one was."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        return [line for key in recorded for line in _values(recorded[key], answered.get(key), f"{path}.{key}")]
    if isinstance(recorded, list) and isinstance(answered, list):
        whole = [one for one in recorded if not (isinstance(one, str) and CUT_LIST.fullmatch(one))]
        missing = int(recorded[-1].split()[1]) if len(whole) < len(recorded) else 0
        found = [] if len(answered) == len(whole) + missing else [f"{path}: {len(answered)} elements"]
        return found + [
            line
            for n, (one, other) in enumerate(zip(whole, answered, strict=False))
            for line in _values(one, other, f"{path}[{n}]")
        ]
    if type(recorded) is not type(answered) or _plain(recorded) != _plain(answered):
        return [f"{path}: {answered!r} instead of {recorded!r}"]
    return []


def _plain(value: Any) -> Any:
    return IDS.sub("<id>", "<user>" if value in ("Administrator", USER) else value) if isinstance(value, str) else value
