"""What was done under callers' keys, for a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.errors import IdempotencyConflict
from core.idempotency import ClaimState
from datasources.mongo.driver import Document, Store
from datasources.mongo.records import ClaimRecord


class Idempotency(Store):
    """The collection `idempotency`. An entry is its last attempt's to change: what an attempt that was taken over
    still has to say is not heard."""

    async def claim_request(self, key: str, digest: str, attempt: str, *, lease_s: float) -> ClaimRecord:
        """The right to do what this key stands for. It is this attempt's if the record names it; otherwise the record
        tells what became of an earlier one. `digest` tells requests apart.

        What was released, or has run for longer than its lease, can be claimed again by the same request.
        """
        claim: Document = {
            "_id": key,
            "digest": digest,
            "state": ClaimState.RUNNING.value,
            "attempt": attempt,
            "leaseUntil": datetime.now(UTC) + timedelta(seconds=lease_s),
            "notes": {},
        }

        def take_over(found: Document) -> Document | None:
            if not _is_free(found, digest):
                return None
            return {**claim, "notes": found["notes"], "createdAt": datetime.now(UTC)}

        return await self._claim("idempotency", claim, take_over, ClaimRecord)

    async def note_request(self, key: str, attempt: str, name: str, value: str) -> None:
        """Leave word for a later attempt. Raises IdempotencyConflict when there is one already."""

        def noted(found: Document) -> Document:
            return {**found, "notes": {**found["notes"], name: value}}

        if not await self._change_claim(key, attempt, noted):
            raise IdempotencyConflict("a later request under this idempotency key has taken over")

    async def keep_answer(self, key: str, attempt: str, answer: str) -> None:
        """It is done, and this is the answer from now on."""
        await self._change_claim(
            key, attempt, lambda found: {**found, "state": ClaimState.DONE.value, "answer": answer}
        )

    async def withhold_answer(self, key: str, attempt: str, secrets_of: str | None) -> None:
        """It is done, and its answer must not be kept: it holds secrets of these records, or (None) is too large."""
        told = {"state": ClaimState.WITHHELD.value, "secretsOf": secrets_of}
        await self._change_claim(key, attempt, lambda found: {**found, **told})

    async def release_request(self, key: str, attempt: str) -> None:
        """It may be tried again, by whoever reads the notes."""
        await self._change_claim(key, attempt, lambda found: {**found, "state": ClaimState.RELEASED.value})

    async def forget_request(self, key: str, attempt: str) -> None:
        """Nothing was done: the key is as good as new."""
        async with self._call("delete", "idempotency"):
            await self._db.idempotency.delete_one({"_id": key, "attempt": attempt})

    async def _change_claim(self, key: str, attempt: str, change: Callable[[Document], Document]) -> bool:
        """Whether the claim was this attempt's to change."""

        def if_ours(found: Document) -> Document | None:
            return change(found) if found["attempt"] == attempt else None

        changed = await self._revise("idempotency", key, if_ours, ClaimRecord)
        return changed is not None and changed.attempt == attempt


def _is_free(found: Document, digest: str) -> bool:
    state = ClaimState(found["state"])
    is_over = state is ClaimState.RUNNING and bool(found["leaseUntil"] <= datetime.now(UTC))
    return bool(found["digest"] == digest) and (is_over or state is ClaimState.RELEASED)
