"""Identity: walt.id's issuer, verifier and wallets, of the community stack's first generation.

Three services that share neither accounts nor rows. The issuer signs with the key that each request brings; the
verifier keeps a session for minutes and forgets a result sooner; the wallets hold what people have. Everybody's wallet
is kept for them: its account is named by their id here and opens with a password that is derived from it, so that
nothing about it is stored. Who calls this sees none of that: other generations of walt.id differ behind these methods.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import parse_qs, urlsplit
from weakref import WeakValueDictionary

import httpx
import jwt
import msgspec

from core import jwt_credentials
from core.backends import BackendName
from core.dids import did_jwk
from core.errors import BackendBadResponse, BackendRejected, BackendTimeout, BackendUnavailable, Conflict
from core.settings import WaltidSettings
from datasources._http import Answer, HttpBackend, Limits, open_client
from datasources._waltid_records import (
    CONTEXT,
    STATUS_LIST,
    STATUS_PURPOSE,
    DidRecord,
    HeldRecord,
    IssuedCredential,
    IssuerKey,
    Login,
    Metadata,
    NewCredential,
    Policies,
    PolicyOutcome,
    Presented,
    Refusal,
    StatusEntryRecord,
    VerificationRecord,
    Wallets,
    list_url,
    parsed_key,
    status_entry,
)

__all__ = [
    "CONTEXT",
    "STATUS_LIST",
    "STATUS_PURPOSE",
    "DidRecord",
    "HeldRecord",
    "IssuedCredential",
    "NewCredential",
    "Policies",
    "PolicyOutcome",
    "VerificationRecord",
    "WalletLocked",
    "Waltid",
    "list_url",
    "readable",
    "status_entry",
]

T = TypeVar("T")

FORMAT = "jwt_vc_json"
OFFER_LIFE_S = 3600
"""The issuer's own is five minutes, too short for a mail that somebody reads."""
EXCHANGE_S = 30.0
"""In which a wallet talks to issuers and verifiers."""
TOKEN_LIFE_S = 3600.0
"""A wallet's token is good for days, even beyond what it says itself; here it is asked for anew by the hour."""
MOST_SESSIONS = 10_000
WALLET_DOMAIN = "wallets.invalid"
"""Accounts are named like e-mail addresses, and no mail is to reach them."""
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]*\.?[\w-]*")
_JAVA = re.compile(r"\b(?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error)?:?\s*|^\s*at .*", re.MULTILINE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FOR_WALLETS = "/wallet/wallet-api/wallet/{wallet}"


class WalletLocked(Conflict):
    """It is not one of those that are kept here, or was under another secret."""


@dataclass(frozen=True)
class _Session:
    wallet_id: str
    token: str = field(repr=False)
    until: float


class Waltid(HttpBackend):
    """`user_id` is everywhere our own id of somebody. Only `wallet` makes wallets."""

    name: ClassVar[BackendName] = BackendName.WALTID
    ids_hold_slashes: ClassVar[bool] = True
    exchange_timeout_s: float = EXCHANGE_S

    def __init__(self, client: httpx.AsyncClient, settings: WaltidSettings, limits: Limits | None = None) -> None:
        """Raises ValueError without the wallets' secret and the issuer's key."""
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        if settings.wallet_secret is None or settings.issuer_key is None:
            raise ValueError("WALTID_WALLET_SECRET and WALTID_ISSUER_KEY are needed")
        self._bases = settings.bases
        self._wallet_secret = settings.wallet_secret.get_secret_value().encode()
        self._key = _issuer_key(settings.issuer_key.get_secret_value(), settings.issuer_did)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._signing_in: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def open(cls, settings: WaltidSettings) -> Self:
        """Raises ValueError without the wallets' secret and the issuer's key."""
        headers = {"Accept": "application/json, text/plain"}
        if settings.api_key is not None:
            # Of whatever stands in front of the services, which have no keys of their own.
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        return cls(open_client(settings.bases["wallet"], headers), settings)

    async def ping(self) -> None:
        """`GET /livez` of each service; what it says differs, and nobody has written it down."""
        await asyncio.gather(*(self._call("GET", f"/{service}/livez", may_repeat=True) for service in self._bases))

    @property
    def issuer_did(self) -> str:
        return self._key.did

    def is_of_verifier(self, url: str) -> bool:
        """Whether an address belongs to our own verifier, as it is configured."""
        return _lies_below(url, self._bases["verifier"])

    # -- issuing -----------------------------------------------------------------------------------------------

    async def issue(self, user_id: str, new: NewCredential) -> IssuedCredential:
        """Sign a credential and put it into somebody's wallet. Safe to repeat: the wallet takes each `id` once.
        `POST /raw/jwt/sign`, then `POST …/credentials/import`

        Raises WalletLocked for somebody without a wallet.
        """
        holder = await self._default_did(user_id)
        token = await self._signed(new, holder)
        body = {"jwt": token, "associated_did": holder}
        try:
            path = f"{_FOR_WALLETS}/credentials/import"
            await self._in_wallet(user_id, "POST", path, may_repeat=True, json=body)
        except BackendRejected as exc:
            if exc.status in (404, 405) and not await self._has_import():
                return await self._issue_by_offer(user_id, new, holder)
            if exc.status != 409:
                raise
        return self._issued(token, new.id)

    async def offer(self, new: NewCredential) -> str:
        """Offer a credential to whoever opens this address with a wallet, once, within the hour.
        `POST /openid4vc/jwt/issue`

        Every call makes another offer. Raises BackendRejected for a type that the issuer does not know.
        """
        body = {
            "issuerKey": dict(self._key.wire),
            "issuerDid": self._key.did,
            "credentialConfigurationId": f"{new.type}_{FORMAT}",
            "credentialData": new.document(self._key.did, None),
            "mapping": {**new.mapping(), "credentialSubject": {"id": "<subjectDid>"}},
        }
        headers = {"sessionTtl": str(OFFER_LIFE_S)}
        answer = await self._call("POST", "/issuer/openid4vc/jwt/issue", may_repeat=False, json=body, headers=headers)
        url = _text(answer)
        if not url.startswith("openid-credential-offer://"):
            raise BackendBadResponse(self.name, "walt.id answered something that is no offer")
        return url

    async def _signed(self, new: NewCredential, holder: str) -> str:
        """`POST /raw/jwt/sign`. It keeps nothing, so that signing twice does no harm."""
        token = await self._sign(new.document(self._key.did, holder), holder, new.mapping())
        read = self._read(token)
        if (read.id, read.subject, read.issuer) != (new.id, holder, self._key.did):
            raise BackendBadResponse(self.name, "walt.id signed another credential than it was given")
        return token

    async def _sign(self, document: Mapping[str, Any], subject: str, mapping: Mapping[str, Any]) -> str:
        body = {
            "issuerKey": dict(self._key.wire),
            "issuerDid": self._key.did,
            "subjectDid": subject,
            "credentialData": dict(document),
            "mapping": dict(mapping),
        }
        return _text(await self._call("POST", "/issuer/raw/jwt/sign", may_repeat=True, json=body))

    async def sign_status_list(self, document: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """A credential of ours about others, as a token: signed here, or by the issuer where the key is in a vault."""
        if self._key.jwk is None:
            return await self._sign(document, self._key.did, {f"jwt:{name}": value for name, value in claims.items()})
        said = {"iss": self._key.did, "sub": document["credentialSubject"]["id"], **claims, "vc": dict(document)}
        return jwt_credentials.sign(self._key.jwk, self._key.did, said)

    async def _has_import(self) -> bool:
        """Whether wallets of this release take credentials that were not offered; older ones do not."""
        described = await self.read("GET", "/wallet/api.json", Metadata)
        return any(path.rstrip("/").endswith("/credentials/import") for path in described.paths)

    async def _issue_by_offer(self, user_id: str, new: NewCredential, holder: str) -> IssuedCredential:
        """`POST …/exchange/useOfferRequest`, whose offer is spent whatever becomes of it: what an unclear call has
        left in the wallet is looked for before another offer is made."""
        if (held := await self._held(user_id, new.id)) is not None:
            return held
        offer, path = await self.offer(new), f"{_FOR_WALLETS}/exchange/useOfferRequest"
        try:
            taken = await self._in_wallet(
                user_id, "POST", path, query=[("did", holder), ("requireUserInput", "false")], text=offer,
                timeout_s=self.exchange_timeout_s,
            )  # fmt: skip
        except (BackendTimeout, BackendUnavailable):
            held = await self._held(user_id, new.id)
            if held is None:
                raise
            return held
        for credential in self._decode(list[HeldRecord], taken):
            return self._issued(credential.document, credential.id)
        raise BackendBadResponse(self.name, "walt.id took an offer and nothing came of it")

    def _issued(self, token: str, held_as: str) -> IssuedCredential:
        read = self._read(token)
        return IssuedCredential(held_as, read.issuer or "", read.subject, read.issued_at, read.expires_at)

    def _read(self, token: str) -> jwt_credentials.JwtCredential:
        try:
            return jwt_credentials.read(token)
        except jwt_credentials.NotACredential as exc:
            raise BackendBadResponse(self.name, f"walt.id answered with no credential: {exc}") from exc

    async def _held(self, user_id: str, id: str) -> IssuedCredential | None:
        for held in await self.credentials(user_id):
            if id in (held.id, (held.parsed_document or {}).get("id")):
                return self._issued(held.document, held.id)
        return None

    # -- wallets -----------------------------------------------------------------------------------------------

    async def wallet(self, user_id: str, *, is_known: bool) -> str:
        """The id of somebody's wallet, which is made unless they are known to have one. Raises WalletLocked."""
        return (await self._session(user_id, is_known=is_known)).wallet_id

    async def dids(self, user_id: str) -> list[DidRecord]:
        """`GET …/dids`"""
        answer = await self._in_wallet(user_id, "GET", f"{_FOR_WALLETS}/dids", may_repeat=True)
        return self._decode(list[DidRecord], answer)

    async def credentials(self, user_id: str) -> list[HeldRecord]:
        """What is in somebody's wallet now. `GET …/credentials`, where no word of deleted ones means those too."""
        query = [("showDeleted", "false")]
        answer = await self._in_wallet(user_id, "GET", f"{_FOR_WALLETS}/credentials", may_repeat=True, query=query)
        return [each for each in self._decode(list[HeldRecord], answer) if each.deleted_on is None]

    async def statuses(self, user_id: str, held_as: str) -> list[StatusEntryRecord]:
        """What the status lists say of a credential in a wallet, as the wallet finds them; none: it is in no list.
        `GET …/credentials/{id}/status`

        Raises BackendRejected when it is not there or its list cannot be read.
        """
        path = f"{_FOR_WALLETS}/credentials/{{id}}/status"
        answer = await self._in_wallet(user_id, "GET", path, may_repeat=True, args={"id": held_as})
        return self._decode(list[StatusEntryRecord], answer)

    async def discard(self, user_id: str, held_as: str) -> None:
        """Take a credential out of a wallet for good; fine when it is not there. That revokes nothing.
        `DELETE …/credentials/{id}?permanent=true`, which is 400 when there was nothing to delete."""
        path, query = f"{_FOR_WALLETS}/credentials/{{id}}", [("permanent", "true")]
        try:
            await self._in_wallet(user_id, "DELETE", path, may_repeat=True, args={"id": held_as}, query=query)
        except BackendRejected as exc:
            if exc.status not in (400, 404):
                raise

    async def present(self, user_id: str, request_url: str, held: Sequence[str]) -> str | None:
        """Present these credentials of a wallet to a verifier, and say where that sends the holder now, if anywhere.
        Not repeated: a verifier takes one presentation. `POST …/exchange/usePresentationRequest`

        The caller has made sure of the address: the wallet calls whatever stands in it. Raises BackendRejected also
        when the verifier does not take what it was shown.
        """
        did = await self._default_did(user_id)
        body = {"did": did, "presentationRequest": request_url, "selectedCredentials": list(held)}
        path = f"{_FOR_WALLETS}/exchange/usePresentationRequest"
        answer = await self._in_wallet(user_id, "POST", path, json=body, timeout_s=self.exchange_timeout_s)
        return self._decode(Presented, answer).redirect_uri

    async def _default_did(self, user_id: str) -> str:
        dids = await self.dids(user_id)
        if not dids:
            raise BackendBadResponse(self.name, "walt.id has a wallet without identifiers")
        return next((each.did for each in dids if each.is_default), dids[0].did)

    # -- verifying ---------------------------------------------------------------------------------------------

    async def open_verification(self, id: str, type: str, policies: Policies) -> str:
        """Have the verifier wait for a presentation of such a credential, in a session of this id. The address that a
        wallet is to open. `POST /openid4vc/verify`

        Repeated with the same id it begins that session anew. Raises BackendRejected for a policy that the verifier
        does not know.
        """
        body = {
            "request_credentials": [{"format": FORMAT, "type": type}],
            "vp_policies": list(policies.presentation),
            "vc_policies": list(policies.credentials),
        }
        headers = {"stateId": id}
        url = _text(await self._call("POST", "/verifier/openid4vc/verify", may_repeat=True, json=body, headers=headers))
        if parse_qs(urlsplit(url).query).get("state") != [id]:
            raise BackendBadResponse(self.name, "walt.id opened another session than it was asked for")
        return url

    async def verification(self, id: str) -> VerificationRecord | None:
        """A session as it stands; None for one that is over: a result is kept for a minute or less.
        `GET /openid4vc/session/{id}`"""
        path = "/verifier/openid4vc/session/{id}"
        return await self.read_or_none("GET", path, VerificationRecord, args={"id": id})

    # -- accounts ----------------------------------------------------------------------------------------------

    async def _in_wallet(
        self,
        user_id: str,
        method: str,
        path: str,
        *,
        may_repeat: bool = False,
        args: Mapping[str, str] | None = None,
        text: str | None = None,
        **how: Any,
    ) -> Answer:
        """A call to somebody's wallet. A token that is not taken any more is replaced, once: nothing has been done."""
        session = await self._session(user_id, is_known=True)
        for is_last in (False, True):
            # Authorization is left to whatever stands in front of the service.
            headers = {"waltid-authorization": f"Bearer {session.token}"}
            try:
                return await self._call(
                    method, path, may_repeat=may_repeat, args={"wallet": session.wallet_id, **(args or {})},
                    headers=headers, text=text, **how,
                )  # fmt: skip
            except BackendRejected as exc:
                if exc.status != 401 or is_last:
                    raise
                session = await self._session(user_id, is_known=True, stale=session)
        raise AssertionError("the second try returns or raises")

    async def _session(self, user_id: str, *, is_known: bool, stale: _Session | None = None) -> _Session:
        """Signed in, by one of those who want it at the same time."""
        lock = self._signing_in.setdefault(user_id, asyncio.Lock())
        async with lock:
            held = self._sessions.get(user_id)
            if held is not None and held is not stale and held.until > time.monotonic():
                self._sessions.move_to_end(user_id)
                return held
            made = await self._signed_in(user_id, is_known=is_known)
            self._sessions[user_id] = made
            self._sessions.move_to_end(user_id)
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
            return made

    async def _signed_in(self, user_id: str, *, is_known: bool) -> _Session:
        account = {
            "type": "email",
            "email": f"{user_id}@{WALLET_DOMAIN}",
            "password": hmac.new(self._wallet_secret, user_id.encode(), hashlib.sha256).hexdigest(),
        }
        if not is_known:
            await self._register(account)
        login = await self._login(account)
        if login is None:
            raise WalletLocked("their wallet does not open", source=self.name)
        headers = {"waltid-authorization": f"Bearer {login.token}"}
        found = await self.read("GET", "/wallet/wallet-api/wallet/accounts/wallets", Wallets, headers=headers)
        usable = [each.id for each in found.wallets if each.permission != "READ_ONLY" and _UUID.fullmatch(each.id)]
        if not usable:
            raise BackendBadResponse(self.name, "walt.id has an account without a wallet")
        return _Session(usable[0], login.token, time.monotonic() + TOKEN_LIFE_S)

    async def _register(self, account: Mapping[str, str]) -> None:
        """`POST /auth/register`; one that is there stays as it is."""
        try:
            body = {**account, "name": "Wallet"}
            await self._call("POST", "/wallet/wallet-api/auth/register", may_repeat=True, json=body)
        except BackendRejected as exc:
            if exc.status != 409:
                raise

    async def _login(self, account: Mapping[str, str]) -> Login | None:
        """`POST /auth/login`, which tells a wrong password from an unknown account in no way; None for both."""
        try:
            login = await self.keyed_write("POST", "/wallet/wallet-api/auth/login", Login, json=dict(account))
        except BackendRejected as exc:
            if exc.status != 401:
                raise
            return None
        if login.token.count(".") != 2:
            # Sent back, such a one is no refusal but a failure of theirs.
            raise BackendBadResponse(self.name, "walt.id answered a login without a token")
        return login

    # -- the wire ----------------------------------------------------------------------------------------------

    async def _once(self, method: str, url: str, *rest: Any, **more: Any) -> Answer:
        """The first part of a path names the service."""
        service, _, path = url.removeprefix("/").partition("/")
        return await super()._once(method, f"{self._bases[service]}/{path}", *rest, **more)

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """An envelope, or plain text, which may be what Java printed. Tokens in it are nobody's to read."""
        try:
            told = msgspec.json.decode(answer.body, type=Refusal)
        except msgspec.DecodeError:
            told = Refusal(message=answer.body[:2000].decode("utf-8", "replace").partition("\n")[0])
        if answer.status in (401, 403):
            return "walt.id does not let the gateway in", told.id
        said = told.message or told.error_message
        return (readable(said), told.id) if said else super().refusal(answer)


def readable(message: str) -> str:
    """The first line of it, without tokens, names of classes and what a stack trace looks like."""
    return _JAVA.sub("", _JWT.sub("…", message.partition("\n")[0])).strip()[:300]


def _issuer_key(text: str, did: str | None) -> IssuerKey:
    """Raises ValueError."""
    wire = parsed_key(text)
    jwk = wire.get("jwk") if wire["type"] == "jwk" else None
    if jwk is None:
        if not did:
            raise ValueError("WALTID_ISSUER_DID is needed beside a key that is in a vault")
        return IssuerKey(did, wire)
    try:
        jwk = msgspec.json.decode(jwk) if isinstance(jwk, str) else dict(jwk)
        jwt_credentials.sign(jwk, "", {})
    except (ValueError, TypeError, jwt.PyJWTError, msgspec.DecodeError):
        # Nothing of the key may stand in what is said about it.
        raise ValueError("WALTID_ISSUER_KEY is no private key that can sign") from None
    return IssuerKey(did or did_jwk(jwk), wire, jwk)


def _text(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace").strip()


def _lies_below(url: str, base: str) -> bool:
    """Whether an address is one of those that begin with another one, however either is written."""
    try:
        asked, allowed = httpx.URL(url), httpx.URL(base)
    except (httpx.InvalidURL, TypeError, ValueError):
        return False
    if (asked.scheme, asked.host, asked.port) != (allowed.scheme, allowed.host, allowed.port) or asked.userinfo:
        return False
    path = asked.path
    return path.startswith(f"{allowed.path.rstrip('/')}/") and ".." not in path.split("/")
