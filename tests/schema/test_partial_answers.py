"""A question to every backend while one of them fails: its part is null and told, and nothing else is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from tests.access.callers import CUSTOMER
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

FIELDS = {
    "medusa": "orders(first: $n) { nodes { id } }",
    "fleetbase": "deliveries(first: $n) { nodes { id } }",
    "erpnext": "invoices(first: $n) { nodes { id } }",
    "stripe": f'paymentMethods(customerId: "{CUSTOMER.stripe_id}") {{ id }}',
    "payload": "pages(first: $n) { nodes { id } }",
    "strapi": "jobs(first: $n) { nodes { id } }",
    "waltid": "credentialVerification(id: $asked) { id }",
    "s3": 'file(key: "service/nothing.txt") { key }',
}
"""Of the backends that are simulated here and read from; each depends on no other. None is of rows that are remembered
under the same question."""
OURS = "viewer { kind } users(first: $n) { nodes { id } } workflows(first: $n) { nodes { id } }"
THEIRS = " ".join(f"{backend}: {field}" for backend, field in FIELDS.items())
ALL = f"query ($n: Int!, $asked: ID!) {{ {OURS} {THEIRS} }}"
REQUEST = 'mutation { verifyCredential(input: {credentialType: "MembershipCredential"}) { id } }'
FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "500": ({"kind": "status", "status": 500}, "UPSTREAM_UNAVAILABLE"),
    "429": ({"kind": "status", "status": 429}, "RATE_LIMITED"),
    "malformed": ({"kind": "malformed"}, "UPSTREAM_BAD_RESPONSE"),
    "hangs": ({"kind": "hang"}, "UPSTREAM_TIMEOUT"),
}
# What is asked of files here has no body that could be wrong.
CASES = [(backend, how) for backend in FIELDS for how in FAILURES if (backend, how) != ("s3", "malformed")]
PATIENCE_MS = 2500


@pytest.fixture
async def company(counter: Counter) -> AsyncIterator[Counter]:
    yield counter
    counter.company.heal()


@pytest.fixture(scope="module")
def sizes() -> Iterator[int]:
    """Of pages, none twice."""
    return count(1)


async def ask(counter: Counter, document: str, **variables: Any) -> dict[str, Any]:
    headers = {"X-Request-Timeout-Ms": str(PATIENCE_MS)}
    sent = {"query": document, "variables": variables}
    answer = await counter.ask("POST", "/graphql", headers=headers, json=sent)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize(("backend", "how"), CASES)
async def test_what_the_others_have_arrives(company: Counter, sizes: Iterator[int], backend: str, how: str) -> None:
    made = await ask(company, REQUEST)
    variables = {"n": next(sizes), "asked": made["data"]["verifyCredential"]["id"]}
    fault, code = FAILURES[how]
    company.company.fail(backend, **fault)
    told = await ask(company, ALL, **variables)
    company.company.heal()
    whole = await ask(company, ALL, **variables)
    assert "errors" not in whole, whole["errors"]
    assert whole["data"].pop(backend) is not None or backend == "s3"
    assert told["data"].pop(backend) is None
    assert told["data"] == whole["data"]
    [error] = told["errors"]
    assert (error["path"], error["extensions"]["code"]) == ([backend], code)
