"""People's accounts on each backend's wire: by samples of it. Against the simulators they are tested with the
decisions, in tests/resolvers/test_provisioning.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson
import pytest
from pydantic import SecretStr

from core.errors import BackendBadResponse, BackendRejected, BackendUnavailable
from core.person import Person
from core.settings import ErpnextSettings, FleetbaseSettings, MedusaSettings, StripeSettings
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.medusa import Medusa
from datasources.stripe import Stripe

ANN = Person(user_id="5f" * 12, name="Ann van Lee", email="Ann@New.example", phone="+355691234567")
OURS = {"gateway_user_id": ANN.user_id}


class Wire:
    """A backend as answers by `METHOD path`, each in its turn; the last one stays."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, list[Any]] = {}
        self.client = httpx.AsyncClient(base_url="http://backend", transport=httpx.MockTransport(self._answer))

    def on(self, route: str, *answers: Any) -> Wire:
        self._answers[route] = list(answers)
        return self

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answers = self._answers[f"{request.method} {request.url.path}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def routes(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    @property
    def sent(self) -> Any:
        """The body of the last request."""
        return orjson.loads(self.requests[-1].content)

    def medusa(self) -> Medusa:
        return Medusa(self.client, MedusaSettings(api_key=SecretStr("sk_x")))

    def stripe(self) -> Stripe:
        return Stripe(self.client, StripeSettings())

    def erpnext(self) -> Erpnext:
        return Erpnext(self.client, ErpnextSettings(api_key=SecretStr("k"), api_secret=SecretStr("s")))

    def fleetbase(self) -> Fleetbase:
        return Fleetbase(self.client, FleetbaseSettings(api_key=SecretStr("k"), rate_per_minute=None))


@pytest.mark.parametrize(
    ("name", "names"),
    [("Ann van Lee", ("Ann", "van Lee")), ("Ann", ("Ann", "")), (" Ann  Lee ", ("Ann", "Lee")), ("", ("", ""))],
)
def test_a_name_has_a_first_part_and_the_rest(name: str, names: tuple[str, str]) -> None:
    assert replace(ANN, name=name).names == names


# -- Medusa ------------------------------------------------------------------------------------------------------------

GUESTS = "/admin/customers"


def customer(**changes: Any) -> dict[str, Any]:
    """As the admin API shows one."""
    return {
        "id": "cus_1",
        "company_name": None,
        "first_name": "Ann",
        "last_name": "Lee",
        "email": "ann@new.example",
        "phone": None,
        "metadata": None,
        "has_account": False,
        "created_by": None,
        "created_at": "2026-06-01T00:07:05.175Z",
        "updated_at": "2026-06-01T00:07:05.175Z",
        "deleted_at": None,
        **changes,
    }


TWIN = httpx.Response(
    422,
    json={
        "code": "invalid_request_error",
        "type": "duplicate_error",
        "message": "Customer with email: ann@new.example, has_account: false, already exists.",
    },
)


async def test_medusa_is_asked_in_lower_case_and_believed_only_about_that_address() -> None:
    rows = [
        customer(),
        customer(id="cus_2", has_account=True, metadata=OURS),
        customer(id="cus_x", email="b@x.example"),
    ]
    wire = Wire().on(f"GET {GUESTS}", {"customers": rows, "count": 3, "offset": 0, "limit": 300})
    found = await wire.medusa().customers_by_email("Ann@New.example")
    assert [(row.id, row.has_account, row.made_for) for row in found] == [
        ("cus_1", False, None),
        ("cus_2", True, ANN.user_id),
    ]
    assert dict(wire.requests[0].url.params)["email"] == "ann@new.example"


@pytest.mark.parametrize("metadata", [{}, {"gateway_user_id": 7}, {"other": "x"}])
async def test_other_metadata_says_nothing(metadata: dict[str, Any]) -> None:
    wire = Wire().on(f"GET {GUESTS}", {"customers": [customer(metadata=metadata)], "count": 1})
    assert [row.made_for for row in await wire.medusa().customers_by_email(ANN.email)] == [None]


async def test_a_guest_is_made_with_our_reference() -> None:
    wire = Wire().on(f"POST {GUESTS}", {"customer": customer(metadata=OURS)})
    assert (await wire.medusa().create_customer(ANN)).id == "cus_1"
    assert wire.sent == {
        "email": "ann@new.example",
        "first_name": "Ann",
        "last_name": "van Lee",
        "phone": ANN.phone,
        "metadata": OURS,
    }


async def test_medusa_is_not_told_what_nobody_knows() -> None:
    wire = Wire().on(f"POST {GUESTS}", {"customer": customer()})
    await wire.medusa().create_customer(replace(ANN, name="Ann", phone=None))
    assert set(wire.sent) == {"email", "first_name", "metadata"}


async def test_a_guest_who_is_there_already_is_the_answer() -> None:
    twins = {"customers": [customer(id="cus_a", has_account=True), customer(id="cus_g")], "count": 2}
    wire = Wire().on(f"POST {GUESTS}", httpx.Response(503), TWIN).on(f"GET {GUESTS}", twins)
    assert (await wire.medusa().create_customer(ANN)).id == "cus_g"
    assert wire.routes == [f"POST {GUESTS}", f"POST {GUESTS}", f"GET {GUESTS}"]


async def test_a_refusal_without_a_guest_stays_one() -> None:
    refused = httpx.Response(400, json={"type": "invalid_data", "message": "The email is not valid"})
    wire = Wire().on(f"POST {GUESTS}", refused).on(f"GET {GUESTS}", {"customers": [], "count": 0})
    with pytest.raises(BackendRejected, match="not valid"):
        await wire.medusa().create_customer(ANN)


# -- Stripe ------------------------------------------------------------------------------------------------------------


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(rows), "has_more": False}


async def test_stripe_is_asked_by_address_and_by_our_reference() -> None:
    ours, strange = {"id": "cus_1", "metadata": OURS}, {"id": "cus_2", "metadata": {"gateway_user_id": "another"}}
    wire = Wire().on("GET /v1/customers", page(strange, ours, {"id": "cus_3", "metadata": {}}))
    wire.on("GET /v1/customers/search", page(ours, {"id": "cus_4", "metadata": OURS}))
    assert await wire.stripe().customers_of(ANN) == ["cus_1", "cus_4"]
    asked = {request.url.path: dict(request.url.params) for request in wire.requests}
    assert asked["/v1/customers"]["email"] == ANN.email
    assert asked["/v1/customers/search"]["query"] == f"metadata['gateway_user_id']:'{ANN.user_id}'"


async def test_a_customer_in_stripe_is_made_under_a_key_of_their_own() -> None:
    wire = Wire().on("POST /v1/customers", httpx.Response(503), {"id": "cus_1", "object": "customer", "metadata": OURS})
    stripe = wire.stripe()
    for person in (ANN, ANN, replace(ANN, name="Ann Lee"), replace(ANN, user_id="e" * 24)):
        assert await stripe.create_customer(person) == "cus_1"
    form = dict(parse_qsl(wire.requests[0].content.decode()))
    assert form == {
        "email": ANN.email,
        "name": ANN.name,
        "phone": ANN.phone,
        "metadata[gateway_user_id]": ANN.user_id,
    }
    first, repeated, again, renamed, other = (request.headers["idempotency-key"] for request in wire.requests)
    assert first == repeated == again
    assert len({first, renamed, other}) == 3
    assert ANN.email not in first


# -- ERPNext -----------------------------------------------------------------------------------------------------------

LIST, CUSTOMERS = "/api/method/frappe.client.get_list", "/api/resource/Customer"


def refusal(exc_type: str, status: int) -> httpx.Response:
    return httpx.Response(status, json={"exc_type": exc_type, "exception": f"frappe.exceptions.{exc_type}"})


async def test_customers_in_the_books_come_in_the_order_of_their_references() -> None:
    rows = [
        {"name": "B", "custom_commerce_customer_id": "cus_1"},
        {"name": "A", "custom_commerce_customer_id": ANN.user_id.upper()},
    ]
    wire = Wire().on(f"POST {LIST}", {"message": rows})
    assert await wire.erpnext().customers_by_references([ANN.user_id, "cus_1"]) == ["A", "B"]
    assert wire.sent["doctype"] == "Customer"
    assert wire.sent["filters"] == [["custom_commerce_customer_id", "in", [ANN.user_id, "cus_1"]]]


async def test_a_site_without_the_field_says_which() -> None:
    wire = Wire().on(f"POST {LIST}", refusal("DataError", 417))
    with pytest.raises(BackendRejected, match="lack the field custom_commerce_customer_id") as refused:
        await wire.erpnext().customers_by_references(["x"])
    assert refused.value.reason == "DataError"
    wire = Wire().on(f"POST {LIST}", refusal("PermissionError", 403))
    with pytest.raises(BackendRejected, match="does not allow"):
        await wire.erpnext().customers_by_references(["x"])


async def test_a_customer_in_the_books_carries_our_id() -> None:
    wire = Wire().on(f"POST {CUSTOMERS}", {"data": {"doctype": "Customer", "name": "Ann - 1"}})
    assert await wire.erpnext().create_customer(replace(ANN, name="A" * 200)) == "Ann - 1"
    assert wire.sent == {
        "customer_name": "A" * 140,
        "customer_type": "Individual",
        "email_id": ANN.email,
        "mobile_no": ANN.phone,
        "custom_commerce_customer_id": ANN.user_id,
    }


@pytest.mark.parametrize(
    "answer", [refusal("UniqueValidationError", 417), httpx.Response(200, text="{"), httpx.Response(502)]
)
async def test_a_customer_whom_another_try_made_is_the_answer(answer: httpx.Response) -> None:
    rows = [{"name": "Ann", "custom_commerce_customer_id": ANN.user_id}]
    wire = Wire().on(f"POST {CUSTOMERS}", answer).on(f"POST {LIST}", {"message": rows})
    assert await wire.erpnext().create_customer(ANN) == "Ann"


@pytest.mark.parametrize("listed", [{"message": []}, httpx.Response(503)])
async def test_the_first_failure_is_told_where_nobody_is_found(listed: Any) -> None:
    wire = Wire().on(f"POST {CUSTOMERS}", httpx.Response(200, text="{")).on(f"POST {LIST}", listed)
    with pytest.raises(BackendBadResponse):
        await wire.erpnext().create_customer(ANN)


async def test_a_refused_customer_is_looked_for_no_further() -> None:
    wire = Wire().on(f"POST {CUSTOMERS}", refusal("ValidationError", 417))
    with pytest.raises(BackendRejected):
        await wire.erpnext().create_customer(ANN)
    assert wire.routes == [f"POST {CUSTOMERS}"]


# -- Fleetbase ---------------------------------------------------------------------------------------------------------

CONTACTS = "/v1/contacts"


def contact(id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "internal_id": "AC000001",
        "name": "Ann",
        "email": "ann@new.example",
        "type": "customer",
        **changes,
    }


async def test_contacts_are_those_of_the_address_in_any_case() -> None:
    rows = [contact("contact_a", meta=[]), contact("contact_b", email="ANN@new.example", meta=OURS)]
    wire = Wire().on(f"GET {CONTACTS}", rows)
    found = await wire.fleetbase().contacts_by_email(ANN.email)
    assert [(row.id, row.made_for) for row in found] == [("contact_a", None), ("contact_b", ANN.user_id)]
    assert dict(wire.requests[0].url.params) == {
        "email": ANN.email, "sort": "created_at", "limit": "100", "offset": "0",
    }  # fmt: skip


async def test_a_server_that_ignores_the_filter_is_not_read_to_its_end() -> None:
    strangers = [contact(f"contact_{n}", email=f"{n}@x.example") for n in range(99)]
    wire = Wire().on(f"GET {CONTACTS}", [*strangers, contact("contact_a")])
    assert [row.id for row in await wire.fleetbase().contacts_by_email(ANN.email)] == ["contact_a"]
    assert len(wire.requests) == 1


@pytest.mark.parametrize("phone", [ANN.phone, None])
async def test_a_contact_is_always_told_of_address_and_phone(phone: str | None) -> None:
    wire = Wire().on(f"POST {CONTACTS}", httpx.Response(503), httpx.Response(201, json=contact("contact_a", meta=OURS)))
    made = await wire.fleetbase().create_contact(replace(ANN, phone=phone))
    assert (made.id, made.made_for) == ("contact_a", ANN.user_id)
    assert wire.sent == {"name": ANN.name, "type": "customer", "email": ANN.email, "phone": phone, "meta": OURS}
    assert len(wire.requests) == 2


# -- all ---------------------------------------------------------------------------------------------------------------

CREATES: dict[str, tuple[str, Callable[[Wire], Any]]] = {
    "medusa": (GUESTS, lambda wire: wire.medusa().create_customer(ANN)),
    "stripe": ("/v1/customers", lambda wire: wire.stripe().create_customer(ANN)),
    "erpnext": (CUSTOMERS, lambda wire: wire.erpnext().create_customer(ANN)),
    "fleetbase": (CONTACTS, lambda wire: wire.fleetbase().create_contact(ANN)),
}


@pytest.mark.parametrize("backend", CREATES)
async def test_a_backend_that_is_down_is_tried_three_times(backend: str) -> None:
    path, create = CREATES[backend]
    wire = Wire().on(f"POST {path}", httpx.Response(503)).on(f"POST {LIST}", httpx.Response(503))
    with pytest.raises(BackendUnavailable):
        await create(wire)
    assert wire.routes.count(f"POST {path}") == 3
