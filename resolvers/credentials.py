"""Credentials: issuing them into people's wallets, offering them, presenting and verifying them, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4, uuid5

from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import (
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
    Conflict,
    GatewayError,
    NotFound,
)
from core.principals import Principal
from datasources.mongo import CredentialRecord, CredentialToIssue, Keyset, UserRecord
from datasources.waltid import OFFER_LIFE_S, DidRecord, NewCredential, status_entry
from resolvers import linked_accounts, users
from resolvers._credential_claims import checked_claims, checked_type
from resolvers._presentation_requests import PresentationRequest, checked_request
from resolvers.context import Context, OneByKey
from resolvers.idempotency import note, noted
from resolvers.keysets import KeysetSlice, KeysetSlices, keyset_after
from resolvers.pages import Edge, Page, checked_first, encode_cursor, no_rows, page_of
from resolvers.users import user_to_act_for, visible_client_ids

NO_CREDENTIAL = "there is no such credential"
MOST_PRESENTED = 20
PEOPLE_LOOKED_AT, MOST_WALLETS = 100, 20
_REPEATED = UUID("5d0f3c4e-8a36-4c2b-9d43-6c6f7f0d3b51")
"""The namespace of ids that are made of a caller's key: the same key names the same credential."""
ISSUING, PRESENTING = "issuing", "presenting"
"""Notes for the next try."""


@dataclass(frozen=True)
class CredentialWanted:
    """As the caller says it. `user_id` None: it is offered to whoever takes it."""

    type: str
    claims: object
    user_id: str | None = None


@dataclass(frozen=True)
class Presentation:
    """`id` is the verifier's session; `verified` None: that is another verifier's to say."""

    id: str
    redirect_uri: str | None
    verified: bool | None


def may_see(principal: Principal, row: CredentialRecord) -> bool:
    """Services all, customers what they hold, everybody else what their clients' is."""
    if principal.is_service:
        return True
    if principal.is_customer and row.user_id != principal.user_id:
        return False
    return row.client_id in (visible_client_ids(principal) or ())


class CredentialById(OneByKey[str, CredentialRecord]):
    """A credential that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[CredentialRecord]:
        rows = await self.sources.mongo.credentials_by_ids(keys)
        return [row for row in rows if may_see(self.ctx.principal, row)]

    def key(self, row: CredentialRecord) -> str:
        return row.id


# -- lists -----------------------------------------------------------------------------------------------------------


async def credential(ctx: Context, id: str) -> CredentialRecord | None:
    """None for one that is not there, or not theirs."""
    return await ctx.loader(CredentialById).load(id)


async def credentials(
    ctx: Context, *, first: int | None, after: str | None, holder_id: str | None
) -> Page[CredentialRecord]:
    """Newest first: all that the caller may see, or of these those of one holder."""
    limit, position, principal = checked_first(first), keyset_after(after), ctx.principal
    if principal.is_customer and holder_id not in (None, principal.user_id):
        return no_rows()
    wanted = principal.user_id if principal.is_customer else holder_id
    narrowed = {"client_ids": visible_client_ids(principal), "user_ids": None if wanted is None else [wanted]}
    rows = await ctx.sources.mongo.credentials(limit=limit + 1, after=position, **narrowed)
    return _page(rows, limit, position, lambda: ctx.sources.mongo.count_credentials(**narrowed))


async def credentials_of_user(
    ctx: Context, user: UserRecord, *, first: int | None, after: str | None
) -> Page[CredentialRecord]:
    """What this user holds, newest first; nothing for callers who may not see the user's rows."""
    limit, position = checked_first(first), keyset_after(after)
    if not users.may_see(ctx.principal, user):
        return no_rows()
    rows = await ctx.loader(CredentialSlices).load(KeysetSlice(user.id, limit, position))
    narrowed = {"client_ids": visible_client_ids(ctx.principal), "user_ids": [user.id]}
    count = ctx.sources.mongo.count_credentials
    return _page(rows, limit, position, lambda: count(**narrowed))


class CredentialSlices(KeysetSlices[CredentialRecord]):
    """The lists of several holders."""

    async def rows(
        self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any
    ) -> list[CredentialRecord]:
        clients = visible_client_ids(self.ctx.principal)
        mongo = self.sources.mongo
        return await mongo.credentials(limit=limit, after=after, client_ids=clients, user_ids=parent_ids, **narrowed)

    def parent_id(self, row: CredentialRecord) -> str:
        return row.user_id or ""


def _page(rows: Sequence[CredentialRecord], limit: int, after: Keyset | None, count: Any) -> Page[CredentialRecord]:
    edges = [Edge(row, encode_cursor(row.created_at.astimezone(UTC).isoformat(), row.key)) for row in rows[:limit]]
    return page_of(edges, has_next=len(rows) > limit, has_previous=after is not None, total=count)


async def dids(ctx: Context) -> list[DidRecord]:
    """The issuer's own identifier, and those in the wallets of the newest people who have one: a call for each, because
    walt.id has no list of all."""
    client_ids = visible_client_ids(ctx.principal)
    if client_ids == ():
        return []
    people = await ctx.sources.mongo.users(limit=PEOPLE_LOOKED_AT, client_ids=client_ids)
    holders = [person.id for person in people if person.linked_accounts.wallet_id][:MOST_WALLETS]
    found = await bounded_map(ctx.sources.waltid.dids, holders)
    return [DidRecord(ctx.sources.waltid.issuer_did, "issuer"), *(each for wallet in found for each in wallet)]


# -- issuing ---------------------------------------------------------------------------------------------------------


async def issue_credential(ctx: Context, wanted: CredentialWanted) -> CredentialRecord:
    """A credential in its holder's wallet, which is made at first use; or without a holder an offer. Repeated under its
    idempotency key it is the same one.

    Raises BadUserInput for what cannot be said, NotFound for a holder who is not theirs to act for, Conflict for one
    whose wallet is somewhere else.
    """
    kind, claims = checked_type("type", wanted.type), checked_claims("claims", wanted.claims)
    holder = await _holder(ctx, wanted.user_id)
    client_id = holder.client_id if holder else ctx.principal.client_id
    if client_id is None and not ctx.principal.is_service:
        raise BadUserInput("`userId` is needed: a platform's own offer would be of no client")
    mongo, waltid, settings = ctx.sources.mongo, ctx.sources.waltid, ctx.sources.settings
    if holder is not None:
        await keep_wallet(ctx, holder)
    reserved = await mongo.reserve_credential(
        CredentialToIssue(
            kind, waltid.issuer_did, claims, client_id, holder.id if holder else None, id=f"urn:uuid:{_uuid(ctx)}"
        )
    )
    await mongo.record_ownership(BackendName.WALTID, reserved.id, client_id, reserved.user_id)
    place = status_entry(settings.public_base, reserved.status_list or 0, reserved.status_list_index or 0)
    new = NewCredential(reserved.id, kind, claims, place, settings.waltid.credential_days)
    return await _offered(ctx, reserved, new) if holder is None else await _issued(ctx, reserved, new, holder)


async def _holder(ctx: Context, user_id: str | None) -> UserRecord | None:
    if user_id is None:
        return None
    holder = await user_to_act_for(ctx, user_id) if user_id else None
    if holder is None:
        raise NotFound(users.NOBODY)
    return holder


async def _issued(ctx: Context, reserved: CredentialRecord, new: NewCredential, holder: UserRecord) -> CredentialRecord:
    if reserved.held_as is not None:
        return reserved
    mongo = ctx.sources.mongo
    # What an earlier try has put into the wallet must stay revocable.
    was_tried = noted(ctx, ISSUING) is not None
    await note(ctx, ISSUING, reserved.id)
    try:
        issued = await ctx.sources.waltid.issue(holder.id, new)
    except BackendRejected:
        if not was_tried:
            await mongo.forget_credential(reserved.id)
        raise
    kept = await mongo.credential_issued(
        reserved.id,
        held_as=issued.held_as,
        subject=issued.subject,
        issued_at=issued.issued_at,
        expires_at=issued.expires_at,
    )
    return _known(kept)


async def _offered(ctx: Context, reserved: CredentialRecord, new: NewCredential) -> CredentialRecord:
    if reserved.offer_url is not None:
        return reserved
    mongo = ctx.sources.mongo
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=OFFER_LIFE_S)
    try:
        url = await ctx.sources.waltid.offer(new)
    except BackendRejected:
        await mongo.forget_credential(reserved.id)
        raise
    return _known(await mongo.credential_offered(reserved.id, url, until))


def _known(kept: CredentialRecord | None) -> CredentialRecord:
    if kept is None:
        raise NotFound(NO_CREDENTIAL)
    return kept


def _uuid(ctx: Context) -> UUID:
    key = ctx.idempotency_key()
    return uuid4() if key is None else uuid5(_REPEATED, key)


async def keep_wallet(ctx: Context, user: UserRecord) -> str:
    """The id of the wallet that is kept for somebody: made, and linked to them, at first use.

    Raises Conflict for somebody who is linked to another wallet, which nobody here can open.
    """
    linked = user.linked_accounts.wallet_id
    wallet_id = await ctx.sources.waltid.wallet(user.id, is_known=linked is not None)
    if linked is None:
        await linked_accounts.link(ctx, user, BackendName.WALTID, wallet_id, replace=False)
    elif linked != wallet_id:
        raise Conflict("this user's wallet is not kept by the gateway", source=BackendName.WALTID)
    return wallet_id


# -- presenting ------------------------------------------------------------------------------------------------------


async def create_presentation(
    ctx: Context, user_id: str, credential_ids: Sequence[str], request_url: str
) -> Presentation:
    """Have somebody's wallet present these credentials to a verifier that asks for them.

    Raises NotFound for a user or credential that is not theirs, BadUserInput for a request that leads elsewhere than to
    verifiers that wallets may present to, or is over, Conflict for one that somebody has answered already.
    """
    waltid = ctx.sources.waltid
    request = checked_request("requestUrl", request_url, waltid, ctx.sources.settings.waltid.presentation_hosts)
    user = await _holder(ctx, user_id)
    assert user is not None  # noqa: S101 - somebody was named
    held = await _held_by(ctx, user, credential_ids)
    verified = await _outcome(ctx, request)
    if verified is not None:
        if noted(ctx, PRESENTING) != request.state:
            raise Conflict("this request has been answered already")
        return Presentation(request.state, None, verified)
    await keep_wallet(ctx, user)
    await note(ctx, PRESENTING, request.state)
    redirect_uri = None
    try:
        redirect_uri = await waltid.present(user.id, request.url, held)
    except (BackendRejected, BackendTimeout, BackendUnavailable) as exc:
        # A refusal, and an answer that was lost, stand in the session.
        verified = await _outcome_or(ctx, request, exc)
    else:
        verified = await _outcome(ctx, request)
    is_address = redirect_uri is not None and urlsplit(redirect_uri).scheme in ("http", "https")
    return Presentation(request.state, redirect_uri if is_address else None, verified)


async def _held_by(ctx: Context, user: UserRecord, ids: Sequence[str]) -> list[str]:
    """What the wallet calls these. Raises NotFound unless they are all this user's and the caller may see them."""
    distinct = list(dict.fromkeys(ids))
    if not 1 <= len(distinct) <= MOST_PRESENTED:
        raise BadUserInput(f"`credentialIds` names 1 to {MOST_PRESENTED} credentials")
    rows = await ctx.loader(CredentialById).load_many(distinct)
    held = [row.held_as for row in rows if row is not None and row.user_id == user.id and row.held_as is not None]
    if len(held) != len(distinct):
        raise NotFound(NO_CREDENTIAL)
    return held


async def _outcome(ctx: Context, request: PresentationRequest) -> bool | None:
    """What our verifier says of its session; None: nothing yet, or it is not ours. Raises BadUserInput when it is
    over."""
    if not request.is_ours:
        return None
    session = await ctx.sources.waltid.verification(request.state)
    if session is None:
        raise BadUserInput("this request is over; have another one made")
    return session.verified


async def _outcome_or(ctx: Context, request: PresentationRequest, failure: GatewayError) -> bool:
    """Raises the failure where nothing came of it."""
    verified = await _outcome(ctx, request)
    if verified is None:
        raise failure
    return verified
