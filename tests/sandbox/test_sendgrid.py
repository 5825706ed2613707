"""The SendGrid simulator takes what the real one would, refuses what it would, and keeps the mails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import keys, sendgrid
from sandbox.sendgrid.routes import READ_ONLY_KEY
from sandbox.store import Store

KEY = {"authorization": f"Bearer {keys.SENDGRID_API_KEY}"}
FROM = {"email": keys.SENDGRID_FROM, "name": "Shop"}
TEMPLATE = "d-0123456789abcdef0123456789abcdef"
TO = {"email": "ada@example.com", "name": "Ada"}
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [TO], "custom_args": {"gateway_message_id": "m1"}}],
    "from": FROM,
    "subject": "Order 1001",
    "content": [{"type": "text/plain", "value": "Thank you."}, {"type": "text/html", "value": "<p>Thank you.</p>"}],
    "categories": ["order-confirmation"],
}


def client_of(store: Store, options: sendgrid.Options | None = None) -> httpx.AsyncClient:
    app = sendgrid.create_app(store, options or sendgrid.Options())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mail", headers=KEY)


@pytest.fixture
def store() -> Store:
    store = Store(None)
    store.seed(sendgrid.seed)
    return store


@pytest.fixture
async def api(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store) as client:
        yield client


async def test_an_accepted_mail_is_202_without_a_body_and_is_kept(api: httpx.AsyncClient, store: Store) -> None:
    answer = await api.post("/v3/mail/send", json=MAIL)
    assert (answer.status_code, answer.content) == (202, b"")
    (mail,) = store.rows("mail")
    assert mail["message_id"] == answer.headers["x-message-id"]
    assert (mail["to"], mail["from"], mail["subject"]) == ([TO], FROM, "Order 1001")
    assert (mail["custom_args"], mail["categories"]) == ({"gateway_message_id": "m1"}, ["order-confirmation"])
    assert mail["content"] == MAIL["content"]


async def test_every_send_is_another_mail(api: httpx.AsyncClient, store: Store) -> None:
    sent = {(await api.post("/v3/mail/send", json=MAIL)).headers["x-message-id"] for _ in range(2)}
    assert len(sent) == len(store.rows("mail")) == 2


async def test_a_personalization_is_a_mail_of_its_own(api: httpx.AsyncClient, store: Store) -> None:
    other = {
        "to": [{"email": "bo@example.com"}],
        "cc": [{"email": "cy@example.com"}],
        "bcc": [{"email": "di@example.com"}],
        "from": {"email": "tickets@omnistack.example"},
        "subject": "Yours",
        "headers": {"X-Part": "2"},
        "custom_args": {"kind": "own"},
    }
    body = MAIL | {
        "personalizations": [{"to": [TO]}, other],
        "headers": {"X-Shop": "1"},
        "custom_args": {"kind": "all", "tenant": "t1"},
        "reply_to": {"email": "help@omnistack.example"},
    }
    answer = await api.post("/v3/mail/send", json=body)
    first, second = store.rows("mail")
    assert [first["id"], second["id"]] == [f"{answer.headers['x-message-id']}.{index}" for index in (0, 1)]
    assert (first["subject"], second["subject"]) == ("Order 1001", "Yours")
    assert (first["from"], second["from"]) == (FROM, other["from"])
    assert (first["cc"], second["cc"], second["bcc"]) == ([], other["cc"], other["bcc"])
    assert second["headers"] == {"X-Shop": "1", "X-Part": "2"}
    assert first["custom_args"] == {"kind": "all", "tenant": "t1"}
    assert second["custom_args"] == {"kind": "own", "tenant": "t1"}
    assert first["reply_to"] == second["reply_to"] == [body["reply_to"]]


async def test_a_dynamic_template_brings_subject_and_content(api: httpx.AsyncClient, store: Store) -> None:
    data = {"order_number": 1001, "items": [{"name": "Lamp", "qty": 1}]}
    body = {"personalizations": [{"to": [TO], "dynamic_template_data": data}], "from": FROM, "template_id": TEMPLATE}
    assert (await api.post("/v3/mail/send", json=body)).status_code == 202
    (mail,) = store.rows("mail")
    assert (mail["template_id"], mail["dynamic_template_data"]) == (TEMPLATE, data)
    assert mail["subject"] == "Your order {{order_number}}"


async def test_sandbox_mode_is_200_and_sends_nothing(api: httpx.AsyncClient, store: Store) -> None:
    mode = {"mail_settings": {"sandbox_mode": {"enable": True}}}
    answer = await api.post("/v3/mail/send", json=MAIL | mode)
    assert (answer.status_code, answer.content, "x-message-id" in answer.headers) == (200, b"", False)
    assert store.rows("mail") == []
    assert (await api.post("/v3/mail/send", json=mode)).status_code == 400


def one(**changes: Any) -> dict[str, Any]:
    """A mail to one reader whose personalization is changed."""
    return {"personalizations": [{"to": [TO]} | changes]}


PDF = {"content": "JVBERi0=", "filename": "invoice.pdf"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"personalizations": None}, ["personalizations"]),
        ({"personalizations": []}, ["personalizations"]),
        ({"personalizations": ["ada@example.com"]}, ["personalizations.0"]),
        (
            {"personalizations": [{"to": [{"email": f"a{n}@example.com"}]} for n in range(1001)]},
            ["personalizations"] * 2,
        ),
        (one(to=[]), ["personalizations.0.to"]),
        (one(to=None), ["personalizations.0.to"]),
        (one(to=[{"name": "Ada"}]), ["personalizations.0.to.0.email"]),
        (one(to=[TO, {"email": "ada@"}]), ["personalizations.0.to.1.email"]),
        (one(to=["ada@example.com"]), ["personalizations.0.to.0"]),
        (one(to=[TO | {"name": 5}]), ["personalizations.0.to.0.name"]),
        (one(to=[TO, TO]), ["personalizations.0"]),
        (one(cc=[{"email": "ADA@example.com"}]), ["personalizations.0"]),
        (one(cc={"email": "x@example.com"}), ["personalizations.0.cc"]),
        (one(bcc=[{"email": "x y@example.com"}]), ["personalizations.0.bcc.0.email"]),
        (one(to=[{"email": f"a{n}@example.com"} for n in range(1001)]), ["personalizations"]),
        (one(subject=""), ["personalizations.0.subject"]),
        (one(dynamic_template_data="x"), ["personalizations.0.dynamic_template_data"]),
        (one(substitutions={"-n-": 1}), ["personalizations.0.substitutions.-n-"]),
        (one(custom_args={"id": 5}), ["personalizations.0.custom_args.id"]),
        (one(custom_args={"id": "x" * 10_001}), ["personalizations.0.custom_args"]),
        (one(send_at=time.time() + 80 * 3600), ["personalizations.0.send_at"]),
        (one(headers={"Subject": "x"}), ["personalizations.0.headers.Subject"]),
        ({"from": None}, ["from.email"]),
        ({"from": {"name": "Shop"}}, ["from.email"]),
        ({"from": {"email": "shop"}}, ["from.email"]),
        ({"subject": ""}, ["subject"]),
        ({"subject": 5}, ["subject"]),
        ({"content": None}, ["content"]),
        ({"content": []}, ["content"]),
        ({"content": "Thank you."}, ["content"]),
        ({"content": [{"type": "text/plain", "value": ""}]}, ["content.0.value"]),
        ({"content": [{"value": "x"}]}, ["content.0.type"]),
        ({"content": MAIL["content"][::-1]}, ["content"]),
        ({"template_id": "d-nobody"}, ["template_id"]),
        ({"template_id": ["d"]}, ["template_id"]),
        ({"reply_to": {"email": "x"}}, ["reply_to.email"]),
        ({"reply_to": TO, "reply_to_list": [TO]}, ["reply_to_list"]),
        ({"reply_to_list": [TO, TO]}, ["reply_to_list"]),
        ({"attachments": [PDF | {"content": "no base64!"}]}, ["attachments.0.content"]),
        ({"attachments": [{"content": PDF["content"]}]}, ["attachments.0.filename"]),
        ({"attachments": [PDF | {"disposition": "nailed"}]}, ["attachments.0.disposition"]),
        ({"headers": {"X-SG-ID": "1"}}, ["headers.X-SG-ID"]),
        ({"headers": {"X-Shop": 1}}, ["headers"]),
        ({"categories": [str(n) for n in range(11)]}, ["categories"]),
        ({"categories": ["a", "a"]}, ["categories"]),
        ({"categories": ["x" * 256]}, ["categories.0"]),
        ({"categories": "a"}, ["categories"]),
        ({"custom_args": {"id": 5}}, ["custom_args.id"]),
        ({"send_at": int(time.time()) + 80 * 3600}, ["send_at"]),
        ({"send_at": "soon"}, ["send_at"]),
        ({"batch_id": "nobody"}, ["batch_id"]),
        ({"asm": {"groups_to_display": [1]}}, ["asm.group_id"]),
        ({"asm": {"group_id": 1, "groups_to_display": list(range(26))}}, ["asm.groups_to_display"]),
        ({"ip_pool_name": "x"}, ["ip_pool_name"]),
        ({"mail_settings": {"sandbox_mode": {"enable": "yes"}}}, ["mail_settings.sandbox_mode.enable"]),
        ({"mail_settings": "x"}, ["mail_settings"]),
        ({"from": None, "subject": "", "content": []}, ["from.email", "subject", "content"]),
    ],
)
async def test_a_mail_that_breaks_rules_is_400_and_names_the_fields(
    api: httpx.AsyncClient, store: Store, changes: dict[str, Any], fields: list[str]
) -> None:
    answer = await api.post("/v3/mail/send", json=MAIL | changes)
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert [error["field"] for error in errors] == fields
    assert all(error["message"] and "help" in error for error in errors)
    assert store.rows("mail") == []


@pytest.mark.parametrize(
    "changes",
    [
        one(subject="Own") | {"subject": ""},
        {"subject": "", "content": [], "template_id": TEMPLATE},
        {"attachments": [PDF | {"type": "application/pdf", "disposition": "attachment"}]},
        {"send_at": int(time.time()) + 3600},
        {"reply_to_list": [TO, {"email": "bo@example.com"}]},
        {"asm": {"group_id": 1}, "ip_pool_name": "transactional"},
        {"from": {"email": "other@OMNISTACK.example"}},
        one(custom_args=None, headers=None, cc=[]),
    ],
)
async def test_what_the_rules_allow_is_accepted(api: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    answer = await api.post("/v3/mail/send", json=MAIL | changes)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from": {"email": "shop@elsewhere.example"}}, "from"),
        ({"from": {"email": "shop@mail.omnistack.example"}}, "from"),
        (one(**{"from": {"email": "x@elsewhere.example"}}), "personalizations.0.from"),
    ],
)
async def test_an_unverified_sender_is_403(
    api: httpx.AsyncClient, store: Store, changes: dict[str, Any], field: str
) -> None:
    answer = await api.post("/v3/mail/send", json=MAIL | changes)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, field)
    assert "verified Sender Identity" in answer.json()["errors"][0]["message"]
    assert store.rows("mail") == []


@pytest.mark.parametrize("authorization", ["", "Bearer SG.other.key", f"Basic {keys.SENDGRID_API_KEY}", "Bearer "])
async def test_a_wrong_key_is_401(api: httpx.AsyncClient, store: Store, authorization: str) -> None:
    for method, path in (("POST", "/v3/mail/send"), ("GET", "/v3/scopes"), ("POST", "/v3/mail/batch")):
        answer = await api.request(method, path, json=MAIL, headers={"authorization": authorization})
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["message"]
    assert store.rows("mail") == []


async def test_a_key_without_the_scope_is_403(api: httpx.AsyncClient, store: Store) -> None:
    reader = {"authorization": f"Bearer {READ_ONLY_KEY}"}
    assert (await api.post("/v3/mail/send", json=MAIL, headers=reader)).status_code == 403
    assert store.rows("mail") == []
    assert "mail.send" not in (await api.get("/v3/scopes", headers=reader)).json()["scopes"]
    assert "mail.send" in (await api.get("/v3/scopes")).json()["scopes"]


async def test_a_body_that_is_no_json_is_refused(api: httpx.AsyncClient) -> None:
    typed = {"content-type": "application/json; charset=utf-8"}
    for content in (b"", b"{", b"[]"):
        assert (await api.post("/v3/mail/send", content=content, headers=typed)).status_code == 400
    assert (await api.post("/v3/mail/send", data={"to": "ada"})).status_code == 415


async def test_a_large_body_is_413_whether_declared_or_not(store: Store) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 300

    typed = {"content-type": "application/json"}
    async with client_of(store, sendgrid.Options(max_body_bytes=1000)) as client:
        declared = await client.post("/v3/mail/send", json=MAIL | {"subject": "x" * 1000})
        streamed = await client.post("/v3/mail/send", content=pieces(), headers=typed)
        small = await client.post("/v3/mail/send", json=MAIL)
    assert [declared.status_code, streamed.status_code, small.status_code] == [413, 413, 202]
    assert declared.json()["errors"][0]["message"] == "content too large"


async def test_answers_tell_the_rate_limit_and_over_it_is_429(store: Store) -> None:
    options = sendgrid.Options(rate_per_second=2, clock=lambda: 1_000_000.25)
    async with client_of(store, options) as client:
        answers = [await client.post("/v3/mail/send", json=body) for body in (MAIL, {}, MAIL)]
    assert [answer.status_code for answer in answers] == [202, 400, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"2"}
    assert {answer.headers["x-ratelimit-reset"] for answer in answers} == {"1000002"}
    assert answers[2].json()["errors"][0]["message"] == "too many requests"
    assert len(store.rows("mail")) == 1


async def test_a_batch_is_made_checked_and_used(api: httpx.AsyncClient, store: Store) -> None:
    made = await api.post("/v3/mail/batch")
    assert made.status_code == 201
    batch_id = made.json()["batch_id"]
    assert (await api.get(f"/v3/mail/batch/{batch_id}")).json() == {"batch_id": batch_id}
    unknown = await api.get("/v3/mail/batch/nobody")
    assert (unknown.status_code, unknown.json()["errors"][0]["message"]) == (400, "invalid batch id")
    assert (await api.post("/v3/mail/send", json=MAIL | {"batch_id": batch_id})).status_code == 202
    assert store.rows("mail")[0]["batch_id"] == batch_id


async def test_the_dynamic_templates_are_listed(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/v3/templates?generations=dynamic")).json()["templates"]
    assert [template["id"] for template in listed] == [TEMPLATE, "d-fedcba9876543210fedcba9876543210"]
    assert all(template["versions"][0]["subject"] for template in listed)
    page = (await api.get("/v3/templates?generations=legacy,dynamic&page_size=1")).json()
    assert (page["result"], page["_metadata"]["count"]) == (listed[:1], 2)
    assert (await api.get("/v3/templates")).json() == {"templates": []}
    assert (await api.get("/v3/templates?page_size=0")).status_code == 400
    assert (await api.get(f"/v3/templates/{TEMPLATE}")).json() == listed[0]
    assert (await api.get("/v3/templates/d-nobody")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v3/nothing", 404),
        ("GET", "/v3/mail/send", 405),
        ("DELETE", "/v3/scopes", 405),
        ("GET", "/v3/suppression/bounces", 501),
        ("POST", "/v3/marketing/contacts", 501),
        ("GET", "/v3/templates?generations=dynamic&page_token=x", 501),
    ],
)
async def test_what_is_not_there_says_so(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


async def test_what_a_mail_may_not_ask_of_the_sandbox_is_501(api: httpx.AsyncClient) -> None:
    for header in ({"on-behalf-of": "branch"}, {"content-encoding": "gzip"}):
        assert (await api.post("/v3/mail/send", json=MAIL, headers=header)).status_code == 501


async def test_mails_outlive_the_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "sendgrid.db")
    store.seed(sendgrid.seed)
    async with client_of(store) as client:
        await client.post("/v3/mail/send", json=MAIL)
    again = Store(tmp_path / "sendgrid.db")
    assert again.rows("mail") == store.rows("mail") != []
    store.close()
    again.close()
