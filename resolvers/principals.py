"""From credentials to a principal: whose key it is, whether the user is active, what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from core.auth import CLOCK_SKEW_S, Credentials, TokenVerifier, equal, hash_key, is_key
from core.errors import Unauthenticated
from core.principals import BackendScope, Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, UserRole
from datasources.mongo import BackendScopeRecord, ClientAppRecord, ClientRecord, KeyRecord, UserStatus
from resolvers.identity_cache import LIFE_S, Recognised

if TYPE_CHECKING:
    from datasources.mongo import Mongo

_WRONG = "the credentials are not valid"
_RANK = list(UserRole)
NOTHING = BackendScope()
SERVER_SIDE_CLIENTS = 1000
"""How many clients of a server-side platform it sees the data of with its own key: the newest active ones."""
BROWSER_WRITES = frozenset({"registerClient", "healthChanged"})
"""What a platform may do whose key stands in browsers, where anybody can read it."""
NEWCOMERS_WRITES = frozenset(
    """updateClient setClientActive rotateClientKey createUser updateUser setUserStatus provisionUser grantStaffAccess
    revokeStaffAccess createFamily addFamilyMember removeFamilyMember shareFamilyBenefit revokeFamilyBenefit syncBatches
    workflowStatus healthChanged""".split()
)
"""What a client may do that has been given no part of any backend: its own records. Anybody with a key that stands in
browsers can register one, and must not get what costs money or reaches people."""


@dataclass(frozen=True)
class Identification:
    """How this gateway recognises its callers."""

    service_keys: tuple[str, ...] = field(repr=False)
    pepper: str = field(repr=False)
    tokens: TokenVerifier | None
    remembered_s: float = LIFE_S
    """How long a caller who was recognised is taken for the same."""

    async def identify(self, mongo: Mongo, shown: Credentials) -> Principal:
        """Raises as `recognise`."""
        return (await self.recognise(mongo, shown)).principal

    async def recognise(self, mongo: Mongo, shown: Credentials) -> Recognised:
        """Raises Unauthenticated when there are no credentials, one is wrong, or several disagree."""
        if shown.are_none:
            raise Unauthenticated("credentials are needed: x-api-key, or a bearer token")
        if shown.api_key is not None and self._is_service(shown.api_key):
            if shown.bearer is not None or shown.client_api_key is not None:
                raise Unauthenticated("a service key stands alone")
            return Recognised(Principal(PrincipalKind.SERVICE, ALL_SCOPES))
        keys: list[KeyRecord] = []
        app = await self._app(mongo, shown.api_key, keys) if shown.api_key is not None else None
        client = None
        if shown.client_api_key is not None:
            client = await self._client(mongo, shown.client_api_key, app, keys)
        ends = [key.ends_at.timestamp() for key in keys if key.ends_at is not None]
        if shown.bearer is not None:
            principal = await self._user(mongo, shown.bearer, app, client)
            ends.append((principal.expires_at or 0.0) + CLOCK_SKEW_S)
        elif app is None:
            raise Unauthenticated(_WRONG)
        elif client is None:
            principal = await _platform(mongo, app)
        else:
            principal = _client_principal(client, app)
        return Recognised(principal, min(ends, default=inf))

    def _is_service(self, key: str) -> bool:
        """Compares with every service key, so that time does not tell which one was close."""
        matches = [equal(key, expected) for expected in self.service_keys]
        return any(matches)

    async def _app(self, mongo: Mongo, key: str, keys: list[KeyRecord]) -> ClientAppRecord:
        app = await mongo.client_app(await self._owner(mongo, key, "client_app", keys))
        if app is None or not app.is_active:
            raise Unauthenticated(_WRONG)
        return app

    async def _client(self, mongo: Mongo, key: str, app: ClientAppRecord | None, keys: list[KeyRecord]) -> ClientRecord:
        """Only beside the key of its platform."""
        if app is None:
            raise Unauthenticated(_WRONG)
        client = await mongo.client(await self._owner(mongo, key, "client", keys))
        if client is None or not client.is_active or client.client_app_id != app.id:
            raise Unauthenticated(_WRONG)
        return client

    async def _owner(self, mongo: Mongo, key: str, kind: str, keys: list[KeyRecord]) -> str:
        """Whose key it is. Adds its record to `keys`."""
        if not is_key(key):
            raise Unauthenticated(_WRONG)
        record = await mongo.key(hash_key(self.pepper, key))
        if (
            record is None
            or record.owner_kind != kind
            or (record.ends_at is not None and record.ends_at <= datetime.now(UTC))
        ):
            raise Unauthenticated(_WRONG)
        keys.append(record)
        return record.owner_id

    async def _user(
        self, mongo: Mongo, bearer: str, app: ClientAppRecord | None, keyed: ClientRecord | None
    ) -> Principal:
        """The user whom a token names. `app` and `keyed`: the platform and the client whose keys stand beside it."""
        if self.tokens is None:
            raise Unauthenticated(_WRONG)
        token = await self.tokens.verify(bearer)
        user = await mongo.user(token.subject)
        if user is None or user.status is not UserStatus.ACTIVE:
            raise Unauthenticated(_WRONG)
        client = await mongo.client(user.client_id)
        if client is None or not client.is_active or (keyed is not None and keyed.id != client.id):
            raise Unauthenticated(_WRONG)
        theirs = app if app is not None else await mongo.client_app(client.client_app_id)
        if theirs is None or not theirs.is_active or theirs.id != client.client_app_id:
            raise Unauthenticated(_WRONG)
        role = lesser_role(token.role, user.role)
        scopes = ROLE_SCOPES[role]
        scope = scope_of(client.backend_scope)
        return Principal(
            PrincipalKind.USER,
            scopes if token.scope is None else scopes & token.scope,
            client_app_id=client.client_app_id,
            client_id=client.id,
            user_id=user.id,
            role=role,
            email=user.email,
            medusa_customer_ids=user.medusa_customer_ids,
            erp_customer_id=user.linked_accounts.erp_customer_id,
            backend_scope=scope,
            expires_at=token.expires_at,
            allowed_writes=_writes_in(scope),
        )


def _client_principal(client: ClientRecord, app: ClientAppRecord) -> Principal:
    scope = scope_of(client.backend_scope)
    return Principal(
        PrincipalKind.CLIENT,
        _scopes(app),
        client_app_id=app.id,
        client_id=client.id,
        backend_scope=scope,
        allowed_writes=_writes_in(scope),
    )


def _writes_in(scope: BackendScope) -> frozenset[str] | None:
    return NEWCOMERS_WRITES if scope == NOTHING else None


async def _platform(mongo: Mongo, app: ClientAppRecord) -> Principal:
    """A platform alone sees itself and its clients' plain fields; their data only if its key never leaves a server."""
    scopes = _scopes(app)
    if not app.is_server_side:
        return Principal(
            PrincipalKind.PLATFORM,
            scopes,
            client_app_id=app.id,
            backend_scope=NOTHING,
            allowed_writes=BROWSER_WRITES,
        )
    clients = await mongo.clients(limit=SERVER_SIDE_CLIENTS, app_ids=[app.id], is_active=True)
    theirs = [scope_of(client.backend_scope) for client in clients]
    union = BackendScope(
        medusa_sales_channel_ids=tuple(channel for scope in theirs for channel in scope.medusa_sales_channel_ids),
        erp_companies=tuple(company for scope in theirs for company in scope.erp_companies),
        erp_warehouses=tuple(warehouse for scope in theirs for warehouse in scope.erp_warehouses),
        strapi_customer_ids=tuple(customer for scope in theirs for customer in scope.strapi_customer_ids),
        payload_tenants=tuple(dict.fromkeys(tenant for scope in theirs for tenant in scope.payload_tenants)),
    )
    return Principal(
        PrincipalKind.PLATFORM,
        scopes,
        client_app_id=app.id,
        client_ids=tuple(client.id for client in clients),
        backend_scope=union,
        is_server_side=True,
    )


def _scopes(app: ClientAppRecord) -> frozenset[str]:
    """Those of its record, but for what is a service's alone."""
    return CLIENT_SCOPES & frozenset(app.scopes)


def scope_of(record: BackendScopeRecord | None) -> BackendScope:
    """What is not set gives nothing."""
    if record is None:
        return NOTHING
    return BackendScope(
        medusa_sales_channel_ids=record.medusa_sales_channel_ids,
        medusa_region_id=record.medusa_region_id,
        erp_companies=(record.erp_company,) if record.erp_company else (),
        erp_warehouses=(record.erp_warehouse,) if record.erp_warehouse else (),
        strapi_customer_ids=record.strapi_customer_ids,
        payload_tenants=(record.payload_tenant,) if record.payload_tenant else (),
    )


def lesser_role(claimed: str | None, recorded: UserRole) -> UserRole:
    """The lesser of a token's role and the record's. A role that is none of ours is the least."""
    if claimed is None:
        return recorded
    try:
        named = UserRole(claimed)
    except ValueError:
        return UserRole.CUSTOMER
    return min(named, recorded, key=_RANK.index)
