"""Who makes a print job of a name: one at a time, on whichever gateway. The print shop itself keeps nobody apart."""

from __future__ import annotations

import time

from datasources.mongo.driver import Document, Store, moment
from datasources.mongo.records import JobClaimRecord


class JobClaims(Store):
    """The collection `job_claims`, of a day. A claim is its last attempt's to change."""

    async def claim_job(self, job_id: str, *, attempt: str, maker: str, lease_s: float) -> JobClaimRecord:
        """The right to make this job. It is this attempt's if the record names it; otherwise the record tells whose it
        is. One that is not held any more goes to whoever asks first."""
        claim: Document = {
            "_id": _key(job_id),
            "attempt": attempt,
            "maker": maker,
            "heldUntil": time.time() + lease_s,
            "isInDoubt": False,
        }

        def take_over(found: Document) -> Document | None:
            if found["heldUntil"] > time.time():
                return None
            return {**claim, "earlierMaker": found["maker"], "createdAt": moment(), "revision": found["revision"]}

        return await self._claim("job_claims", claim, take_over, JobClaimRecord)

    async def doubt_job(self, job_id: str, attempt: str) -> None:
        """Whether it was made is not known. It stays held, so that what is under way may still arrive."""
        await self._change_job_claim(job_id, attempt, {"isInDoubt": True})

    async def settle_job(self, job_id: str, attempt: str) -> None:
        """It was made, and its maker is remembered."""
        await self._change_job_claim(job_id, attempt, {"heldUntil": 0.0, "isInDoubt": False})

    async def give_up_job(self, job_id: str, attempt: str) -> None:
        """Nothing is to be remembered."""
        async with self._call("delete", "job_claims"):
            await self._db.job_claims.delete_one({"_id": _key(job_id), "attempt": attempt})

    async def _change_job_claim(self, job_id: str, attempt: str, values: Document) -> None:
        def if_ours(found: Document) -> Document | None:
            return {**found, **values} if found["attempt"] == attempt else None

        await self._revise("job_claims", _key(job_id), if_ours, JobClaimRecord)


def _key(job_id: str) -> str:
    """Never one that could pass for an ObjectId."""
    return f"job:{job_id}"
