"""Those who are nobody: whatever they ask for, nothing is executed."""

from __future__ import annotations

import pytest

from tests.access import shapes
from tests.access.callers import REFUSED
from tests.access.gateway import Served


@pytest.mark.parametrize("name", REFUSED)
async def test_nobody_is_answered(served: Served, name: str) -> None:
    shown = served.refused[name]
    kinds = {"Query": "query", "Mutation": "mutation"}
    for kind, operation in kinds.items():
        for field in shapes.fields(served.schema, kind):
            served.forget_calls()
            answer = await served.ask(shown, f"{operation} {{ {field} }}")
            assert (answer.status, answer.codes, answer.data) == (401, ["UNAUTHENTICATED"], None)
            assert served.calls() == 0
            assert not served.events.upstream


@pytest.mark.parametrize("name", REFUSED)
async def test_no_socket_is_opened_for_them(served: Served, name: str) -> None:
    for field in shapes.fields(served.schema, "Subscription"):
        heard = await served.subscribe(served.refused[name], f"subscription {{ {field} {{ __typename }} }}")
        assert heard == {"type": "close", "code": 4401 if name == "nobody" else 4403}


async def test_they_are_told_apart_by_nothing(served: Served) -> None:
    """Neither a revoked key nor a suspended user learns that it was ever right."""
    answers = {name: await served.ask(shown, "{ viewer { kind } }") for name, shown in served.refused.items()}
    wrong_keys = {tuple(answer.refusals) for name, answer in answers.items() if "key" in name or "client" in name}
    assert len(wrong_keys) == 1
