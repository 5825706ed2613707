"""The paths of the three services, and how each answers: JSON, or text without quotes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.store import Row, Store
from sandbox.waltid import accounts, issuer, verifier, wallet
from sandbox.waltid.errors import WaltError, bad_request, not_simulated
from sandbox.waltid.policies import DESCRIPTIONS, Fetch

Answer = Callable[[Request], Awaitable[Response]]


async def fetched(url: str) -> str:
    """A status list, from wherever its address leads. Raises WaltError."""
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            answer = (await client.get(url, headers={"Accept": "text/plain"})).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise WaltError(400, f"{type(exc).__name__} at the status list") from exc
    return answer.text


@dataclass(frozen=True)
class Options:
    """`has_import`: wallets take credentials that were not offered, as newer releases do."""

    clock: Callable[[], float] = time.time
    """Unix seconds."""
    fetch: Fetch = fetched
    has_import: bool = True
    api_key: str | None = None
    """What a proxy in front of issuer and verifier asks for."""


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a seeded store."""
    logins, clock = accounts.Logins(store, options.clock), options.clock

    # -- issuer ------------------------------------------------------------------------------------------------

    async def onboard(request: Request) -> Response:
        return JSONResponse(issuer.onboard(await _object(request)))

    async def sign(request: Request) -> Response:
        return PlainTextResponse(issuer.sign_raw(await _json(request), clock()))

    async def issue(request: Request) -> Response:
        if request.path_params["kind"] != "jwt":
            raise not_simulated("credentials of this format")
        life_s = int(request.headers.get("sessionttl", issuer.OFFER_LIFE_S))
        return PlainTextResponse(issuer.offer(store, _base(request, "issuer"), await _json(request), life_s, clock()))

    async def offer(request: Request) -> Response:
        found = issuer.offered(store, _base(request, "issuer"), request.query_params.get("id", ""), clock())
        return JSONResponse(found)

    async def metadata(request: Request) -> Response:
        return JSONResponse(issuer.metadata(_base(request, "issuer")))

    # -- verifier ----------------------------------------------------------------------------------------------

    async def verify(request: Request) -> Response:
        base, headers = _base(request, "verifier"), dict(request.headers)
        return PlainTextResponse(verifier.opened(store, base, headers, await _json(request), clock()))

    async def session(request: Request) -> Response:
        return JSONResponse(verifier.shown(verifier.session(store, request.path_params["id"], clock())))

    async def definition(request: Request) -> Response:
        return JSONResponse(verifier.session(store, request.path_params["id"], clock())["presentationDefinition"])

    async def presented(request: Request) -> Response:
        token = str((await request.form()).get("vp_token", ""))
        await verifier.presented(store, request.path_params["id"], token, clock(), options.fetch)
        return Response(status_code=200)

    async def policy_list(request: Request) -> Response:
        return JSONResponse(DESCRIPTIONS)

    # -- wallet: accounts --------------------------------------------------------------------------------------

    async def register(request: Request) -> Response:
        accounts.register(store, await _json(request))
        return PlainTextResponse("Registration succeeded ", 201)

    async def login(request: Request) -> Response:
        told = logins.login(await _json(request))
        response = JSONResponse(told)
        response.set_cookie("login", told["token"])
        return response

    async def logout(request: Request) -> Response:
        response = Response(status_code=200)
        response.delete_cookie("login")
        return response

    async def user_info(request: Request) -> Response:
        account = accounts.account_of(store, request.headers)
        told = {name: account[name] for name in ("id", "name", "email", "createdOn")}
        return JSONResponse({"tenant": "", **told})

    async def wallets(request: Request) -> Response:
        account = accounts.account_of(store, request.headers)
        told = [
            {"id": row["id"], "name": row["name"], "createdOn": row["createdOn"], "addedOn": row["createdOn"],
             "permission": "ADMINISTRATE"}
            for row in accounts.wallets_of(store, account)
        ]  # fmt: skip
        return JSONResponse({"account": account["id"], "wallets": told})

    # -- wallet: what is in it ---------------------------------------------------------------------------------

    async def dids(request: Request) -> Response:
        return JSONResponse(wallet.dids(store, own(request)))

    async def credentials(request: Request) -> Response:
        deleted = {"true": True, "false": False}.get(request.query_params.get("showDeleted", ""))
        return JSONResponse(wallet.held(store, own(request), deleted))

    async def credential(request: Request) -> Response:
        return JSONResponse(wallet.one(store, own(request), request.path_params["id"]))

    async def import_credential(request: Request) -> Response:
        if not options.has_import:
            raise WaltError(404, "Not Found")
        return JSONResponse(wallet.imported(store, own(request), await _json(request), clock()), 201)

    async def delete(request: Request) -> Response:
        is_permanent = request.query_params.get("permanent") == "true"
        wallet.deleted(store, own(request), request.path_params["id"], is_permanent=is_permanent)
        return Response(status_code=202)

    async def statuses(request: Request) -> Response:
        return JSONResponse(await wallet.statuses(store, own(request), request.path_params["id"], options.fetch))

    # -- wallet: exchanges -------------------------------------------------------------------------------------

    async def take_offer(request: Request) -> Response:
        offer = (await request.body()).decode()
        if not request.headers.get("content-type", "").startswith("text/plain"):
            raise WaltError(415, "Content type is not text/plain")
        with store.transaction():
            taken = wallet.take_offer(store, own(request), offer, request.query_params.get("did"), clock())
        return JSONResponse(taken)

    async def resolve_offer(request: Request) -> Response:
        own(request)
        found = issuer.found_in((await request.body()).decode())
        return JSONResponse(issuer.offered(store, _base(request, "issuer"), found, clock()))

    async def match(request: Request) -> Response:
        return JSONResponse(wallet.matching(store, own(request), await _json(request)))

    async def present(request: Request) -> Response:
        status, told = await wallet.present(store, own(request), await _json(request), clock(), options.fetch)
        return JSONResponse(told, status)

    def own(request: Request) -> Row:
        return accounts.wallet_of(store, request.headers, request.path_params["wallet"])

    # -- all of them -------------------------------------------------------------------------------------------

    async def livez(request: Request) -> Response:
        return JSONResponse([{"name": "http", "isHealthy": True}])

    async def described(request: Request) -> Response:
        service = request.path_params["service"]
        paths = [path.removeprefix(f"/{service}") for path, *_ in table if path.startswith(f"/{service}/")]
        return JSONResponse({"openapi": "3.1.0", "paths": {path: {} for path in paths}})

    mine = "/wallet/wallet-api/wallet/{wallet}"
    table: list[tuple[str, str, Answer]] = [
        ("/issuer/onboard/issuer", "POST", onboard),
        ("/issuer/raw/jwt/sign", "POST", sign),
        ("/issuer/openid4vc/{kind}/issue", "POST", issue),
        ("/issuer/draft13/credentialOffer", "GET", offer),
        ("/issuer/draft13/.well-known/openid-credential-issuer", "GET", metadata),
        ("/verifier/openid4vc/verify", "POST", verify),
        ("/verifier/openid4vc/verify/{id}", "POST", presented),
        ("/verifier/openid4vc/session/{id}", "GET", session),
        ("/verifier/openid4vc/pd/{id}", "GET", definition),
        ("/verifier/openid4vc/policy-list", "GET", policy_list),
        ("/wallet/wallet-api/auth/register", "POST", register),
        ("/wallet/wallet-api/auth/login", "POST", login),
        ("/wallet/wallet-api/auth/logout", "POST", logout),
        ("/wallet/wallet-api/auth/user-info", "GET", user_info),
        ("/wallet/wallet-api/wallet/accounts/wallets", "GET", wallets),
        (f"{mine}/dids", "GET", dids),
        (f"{mine}/credentials", "GET", credentials),
        *([(f"{mine}/credentials/import", "POST", import_credential)] if options.has_import else []),
        (f"{mine}/credentials/{{id:path}}/status", "GET", statuses),
        (f"{mine}/credentials/{{id:path}}", "GET", credential),
        (f"{mine}/credentials/{{id:path}}", "DELETE", delete),
        (f"{mine}/exchange/useOfferRequest", "POST", take_offer),
        (f"{mine}/exchange/resolveCredentialOffer", "POST", resolve_offer),
        (f"{mine}/exchange/matchCredentialsForPresentationDefinition", "POST", match),
        (f"{mine}/exchange/usePresentationRequest", "POST", present),
    ]

    def answered(endpoint: Answer) -> Answer:
        async def answer(request: Request) -> Response:
            path = request.url.path.removeprefix(request.scope["root_path"])
            is_guarded = options.api_key is not None and not path.startswith("/wallet/")
            if is_guarded and request.headers.get("authorization") != f"Bearer {options.api_key}":
                return Response(status_code=401)
            try:
                return await endpoint(request)
            except WaltError as exc:
                return exc.response()

        return answer

    async def nothing(request: Request) -> Response:
        raise WaltError(404, "Not Found")

    everywhere = [
        Route("/{service}/livez", livez),
        Route("/{service}/api.json", answered(described)),
    ]
    routes = [Route(path, answered(endpoint), methods=[method]) for path, method, endpoint in table]
    any_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[*everywhere, *routes, Route("/{path:path}", answered(nothing), methods=any_method)])


def _base(request: Request, service: str) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}/{service}"


async def _json(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise WaltError(415, "Content type is not application/json")
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as exc:
        raise bad_request("Failed to convert request body") from exc


async def _object(request: Request) -> dict[str, Any]:
    body = await _json(request)
    if not isinstance(body, dict):
        raise bad_request("Request body is not a JSON object")
    return body
