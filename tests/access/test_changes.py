"""Mutations: with rows of their own for those who may, with anybody else's for nobody."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from core.demo import DemoCredentials
from resolvers.principals import Identification
from tests.access.callers import HERE, SHOP, Caller
from tests.access.decisions import CHANGES, READS
from tests.access.gateway import Answer, Served, open_gateway
from tests.access.inputs import INPUTS, KINDS, NO_SIGNALS, NOT_YOURS
from tests.access.test_absence import foreign_rows
from tests.access.world import Row, absent
from tests.callers import WORLD

WHO = ("service", "browser", "server", "shop", "here", "customer", "staff", "manager", "admin")
EVERYBODY = pytest.mark.parametrize("name", WHO)
FINISHED = ("completed", "canceled")
FILE = " ($file: Upload!)"
BARE = ("deleteFile",)
"""Mutations that answer with a scalar."""
EMAILS = {person.id: person.email for person in WORLD.people}
PLACE = re.compile("<([A-Z][A-Za-z]+)>")


@pytest.fixture(scope="module")
async def changing(
    tmp_path_factory: pytest.TempPathFactory, demo: DemoCredentials, identification: Identification
) -> AsyncIterator[Served]:
    """A gateway of this module's own, for here rows are really made and changed."""
    async with open_gateway(tmp_path_factory.mktemp("changes"), demo, identification) as opened:
        yield opened


def test_every_mutation_is_tried() -> None:
    assert set(INPUTS) == set(CHANGES), "say what it is tried with, in tests/access/inputs.py"


# -- rows to try with --------------------------------------------------------------------------------------------------


class Own:
    """Rows of a caller's own, each in a state in which it can be changed."""

    def __init__(self, served: Served, caller: Caller) -> None:
        self._served = served
        self._caller = caller
        self._client = caller.client or (SHOP if caller.kind == "browser" else HERE).id

    def values(self, template: str) -> dict[str, str]:
        """A row for every place of a template, by the place's name."""
        places = PLACE.findall(template)
        values = {
            place: self._pick(place) for place in places if place not in ("DebtorOfOrder", "OrderOfDebtor", "Holder")
        }
        if "OrderOfDebtor" in places:
            order = self._order_without_invoice()
            [buyer] = order.users
            values |= {"OrderOfDebtor": order.key, "DebtorOfOrder": self._debtor(buyer)}
        if "Family" in places and "Member" in places:
            [family] = [row for row in self._served.rows["Family"] if row.key == values["Family"]] or [
                Row("Family", "")
            ]
            values["Member"] = max(family.users, default=absent("User"))
        if "Holder" in places:
            holders = {row.key: row.users for row in self._served.rows["Credential"]}
            values["Holder"] = next(iter(holders.get(values["Credential"], ())), absent("User"))
        return values

    def _pick(self, place: str) -> str:
        match place:
            case "Client":
                return self._client
            case "ClientApp":
                return self._caller.app or HERE.app.id
            case "Order":
                return self._first(place, lambda row: self._is_open(self._stored("medusa", row)))
            case "Delivery":
                return self._first(place, lambda row: self._stored("fleetbase", row)["status"] not in FINISHED)
            case "User":
                return self._person(in_family=False)
            case "Member":
                return ""
            case "Buyer":
                return self._caller.user if self._caller.kind == "customer" and self._caller.user else self._person()
            case "Debtor":
                return self._debtor(self._person())
            case "Payer":
                return self._account(self._person(), "stripeCustomerId", "cus_nobody")
            case _:
                return self._first(place, lambda row: True)

    def _first(self, kind: str, fits: Callable[[Row], bool]) -> str:
        word = decision(self._served, kind, self._caller)
        for row in self._served.rows[kind]:
            if row.is_shown(self._caller, word) and self._client in row.clients and fits(row):
                return row.key
        return absent(kind)

    def _stored(self, backend: str, row: Row) -> Mapping[str, Any]:
        """Medusa's orders, and Fleetbase's, which are deliveries."""
        stored: Mapping[str, Any] = self._served.company._stores[backend].get("order", row.key)
        return stored

    @staticmethod
    def _is_open(order: Mapping[str, Any]) -> bool:
        return order["status"] == "pending" and not order["fulfillments"]

    def _people(self) -> Iterator[dict[str, Any]]:
        callers = {caller.user for caller in self._served.callers.values()}
        for user in self._served.owners.users:
            is_customer = user["role"] == "CUSTOMER" and user["linkedAccounts"]
            if user["clientId"] == self._client and is_customer and user["_id"] not in callers:
                yield user

    def _person(self, *, in_family: bool | None = None) -> str:
        people = [user for user in self._people() if in_family is None or ("familyId" in user) is in_family]
        return str(next((user["_id"] for user in people), absent("User")))

    def _debtor(self, user_id: str) -> str:
        return self._account(user_id, "erpCustomerId", "CUST-99999")

    def _account(self, user_id: str, account: str, otherwise: str) -> str:
        users = (user for user in self._served.owners.users if user["_id"] == user_id)
        return str(next((user["linkedAccounts"][account] for user in users), otherwise))

    def _order_without_invoice(self) -> Row:
        invoices = self._served.company._stores["erpnext"].rows("Sales Invoice")
        invoiced = {row["custom_commerce_order_id"] for row in invoices}
        people = {user["_id"] for user in self._people()}
        return next(row for row in self._served.rows["Order"] if row.users & people and row.key not in invoiced)


def decision(served: Served, kind: str, caller: Caller) -> str:
    """The word of the tables for a caller and rows of a type, by the field that shows one, or else several."""
    shown = [field for field in served.roots.values() if field.kind == kind and field.name in READS]
    return READS[min(shown, key=lambda field: field.how != "one").name][caller.kind]


def strangers(served: Served, caller: Caller, place: str) -> list[str]:
    """Rows of others, of each kind of stranger, as they are named in a place."""
    kind = KINDS.get(place, place)
    rows = foreign_rows(served, caller, kind, decision(served, kind, caller))
    if place.startswith("Debtor") or place == "Payer":
        account = "stripeCustomerId" if place == "Payer" else "erpCustomerId"
        accounts = {user["_id"]: user["linkedAccounts"].get(account) for user in served.owners.users}
        return [accounts[row.key] for row in rows if accounts[row.key]]
    return [row.key for row in rows]


def document(field: str, template: str, values: Mapping[str, str], state: str = "true") -> str:
    text = PLACE.sub(lambda match: json.dumps(values[match.group(1)]), template)
    text = text.replace("<fresh>", f"x{uuid4().hex[:12]}").replace("<state>", state)
    text = text.replace("<email of Buyer>", EMAILS.get(values.get("Buyer", ""), "nobody@people.example"))
    return (
        f"mutation{FILE if '$file' in text else ''} {{ {field}({text}) {'' if field in BARE else '{ __typename }'} }}"
    )


async def fresh_cart(served: Served, caller: Caller, own: Own) -> str:
    template = INPUTS["createCart"][0]
    made = await served.ask(caller, document("createCart", template, own.values(template)).replace("__typename", "id"))
    return str(made.only()["id"])


async def fresh_file(served: Served, caller: Caller, key: str) -> str:
    """Beside this one."""
    made = await served.ask(
        caller, document("uploadFile", "file: $file, key: <key>".replace("<key>", json.dumps(f"{key}.new")), {})
    )
    assert made.only() is not None
    return f"{key}.new"


# -- the rules ---------------------------------------------------------------------------------------------------------


@EVERYBODY
async def test_with_rows_of_others_nothing_can_be_done(changing: Served, name: str) -> None:
    caller = changing.callers[name]
    own = Own(changing, caller)
    before = await changing.everything_stored()
    tried = 0
    for field, templates in INPUTS.items():
        if CHANGES[field][caller.kind] != "yes":
            continue
        for template in templates:
            values = own.values(template)
            for place in values:
                missing = await attempt(
                    changing, caller, field, template, values, place, absent(KINDS.get(place, place))
                )
                for stranger in strangers(changing, caller, place):
                    refused = await attempt(changing, caller, field, template, values, place, stranger)
                    assert refused.data == {field: None}, (field, place, stranger)
                    expected = NOT_YOURS.get(f"{field}:{place}", "NOT_FOUND")
                    assert refused.codes == [expected], (field, place, stranger, refused.refusals)
                    assert refused.refusals == missing.refusals, (field, place, stranger)
                    tried += 1
    assert tried or name in ("service",)
    after = await changing.everything_stored()
    assert {key for key in before | after if before.get(key) != after.get(key)} == set()


async def attempt(
    served: Served, caller: Caller, field: str, template: str, values: Mapping[str, str], place: str, other: str
) -> Answer:
    return await served.ask(caller, document(field, template, {**values, place: other}, state="false"))


@EVERYBODY
async def test_what_somebody_may_not_do_at_all_is_forbidden(changing: Served, name: str) -> None:
    caller = changing.callers[name]
    own = Own(changing, caller)
    before = await changing.everything_stored()
    for field, templates in INPUTS.items():
        word = CHANGES[field][caller.kind]
        if word == "yes":
            continue
        for template in templates:
            answer = await changing.ask(caller, document(field, template, own.values(template), state="false"))
            # A file from somebody who may send none is not even read.
            is_unread = field == "uploadFile" and answer.status == 403
            assert answer.data == (None if is_unread else {field: None})
            if word == "no":
                assert (answer.codes, answer.upstream) == (["FORBIDDEN"], {}), field
            else:
                assert answer.codes in (["FORBIDDEN"], ["NOT_FOUND"]), field
    assert await changing.everything_stored() == before


@EVERYBODY
async def test_with_rows_of_their_own_everybody_does_what_they_may(changing: Served, name: str) -> None:
    caller = changing.callers[name]
    own = Own(changing, caller)
    for field, templates in INPUTS.items():
        if CHANGES[field][caller.kind] != "yes":
            continue
        for template in templates:
            values = own.values(template)
            if "Cart" in values:
                values["Cart"] = await fresh_cart(changing, caller, own)
            if field == "deleteFile":
                values["StoredFile"] = await fresh_file(changing, caller, values["StoredFile"])
            async with changing.core_kept():
                answer = await changing.ask(caller, document(field, template, values))
            if field in NO_SIGNALS:
                assert answer.codes == [NO_SIGNALS[field]]
            else:
                assert answer.only() is not None, field
