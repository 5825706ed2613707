"""The demo world's print shop: a customer for every customer of its clients, and their jobs; some that do not join."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.store import Store
from sandbox.strapi import documents
from sandbox.strapi.types import CUSTOMER, JOB, STATUSES
from sandbox.world import World, document_id

JOBS, JOBS_WITHOUT_CUSTOMER = 120, 3
PASSER_BY = document_id("passer", 1)
"""A customer of the print shop alone."""


def seed(store: Store) -> None:
    world = World(datetime.now(UTC))
    opened = world.anchor - timedelta(days=100)
    for n, person in enumerate(world.customers):
        values: dict[str, Any] = {"Name": person.name, "Email": person.email}
        at = opened + timedelta(hours=n)
        documents.create(store, CUSTOMER, values, publish=True, id=person.print_customer_id, at=at)
    documents.create(store, CUSTOMER, {"Name": "Passer-by", "Email": None}, publish=True, id=PASSER_BY, at=opened)
    customers = [person.print_customer_id for person in world.customers]
    for n in range(1, JOBS + 1):
        customer = customers[n % len(customers)] if n > JOBS_WITHOUT_CUSTOMER else None
        values = {
            "JobID": f"JOB-{n:04d}",
            "Status": STATUSES[n % len(STATUSES)],
            "Quantity": 10 * n,
            "Notes": f"Note {n}" if n % 2 else None,
            "Deadline": documents.stamp(world.anchor + timedelta(days=n % 14)) if n % 3 else None,
            "customer": PASSER_BY if n == JOBS_WITHOUT_CUSTOMER + 1 else customer,
        }
        at = world.anchor - timedelta(hours=2 + 5 * (JOBS - n))
        documents.create(store, JOB, values, publish=True, id=document_id("job", n), at=at)
    values = {"JobID": "JOB-DRAFT", "Quantity": 1, "customer": customers[0]}
    documents.create(store, JOB, values, publish=False, id=document_id("draft", 1), at=world.anchor)
