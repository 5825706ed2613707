"""The paths that platforms have called from the beginning, without `/api`: users, clients, families and batches.

Their callers read the answer's body as the object or the list itself, look for an id under `_id` or `id`, and tell
failures by the HTTP status and `{error: {code, message}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path
from strawberry.schema import BaseSchema

from core.errors import BadUserInput, GatewayError, NotFound
from rest.bodies import TooLarge, json_response, read_json
from rest.caching import NO_STORE
from rest.envelope import Told, status_of, told, wait_headers
from rest.limits import admit, tell_allowance
from rest.methods import Methods
from rest.operations import Document, Operations, Outcome, document, name_of, tell
from rest.parameters import DEFAULT_LIMIT, GRAPHQL_TYPES, LIMIT, from_query, spelled, with_text

Json = Any

_USER = (
    "id email name phone role status client { id } family { id } staffAccess { permissions grantedAt } "
    "linkedAccounts { medusaCustomerId stripeCustomerId erpCustomerId walletId fleetbaseContactId } "
    "createdAt updatedAt"
)
_CLIENT = "id name code app { id } externalId defaultCurrency isActive createdAt updatedAt"
_FAMILY = (
    "id name client { id } members { user { id name } role joinedAt } "
    "benefits { code name sharedBy { id } percentOff validUntil } createdAt updatedAt"
)
_BATCH = "id client { id } sku quantity warehouse expiresAt updatedAt"
_PAGE = "pageInfo { hasNextPage endCursor } totalCount"
_PAGED = {"limit": LIMIT, "after": "String"}
_REFERENCES = {"client": "clientId", "app": "clientAppId", "family": "familyId", "sharedBy": "sharedById"}
"""What a row that is told by its id alone is called."""


@dataclass(frozen=True)
class Step:
    """One operation of a request. `body` makes its variables of the request's body, with the type of each; None: this
    body asks nothing of it."""

    field: str
    arguments: str
    selection: str
    types: Mapping[str, str]
    body: Callable[[Json], dict[str, Json] | None] = lambda body: {}


@dataclass(frozen=True)
class Bare:
    """A path and method. With several `steps` a request does those that its body asks for, in their order."""

    method: str
    path: str
    steps: Sequence[Step]
    make: Callable[[Json], Json]
    query: Mapping[str, str] | None = None
    status: int = 200


def bare(value: Json) -> Json:
    """A row as its callers know it: with both names of its id, and other rows by their ids alone."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if not isinstance(value, dict):
        return value
    row: dict[str, Json] = {"_id": value["id"]} if "id" in value else {}
    for name, one in value.items():
        if name in _REFERENCES:
            row[_REFERENCES[name]] = None if one is None else one["id"]
        elif name == "user":
            row |= {"userId": None, "name": None} if one is None else {"userId": one["id"], "name": one["name"]}
        else:
            row[name] = bare(one)
    return row


def _list(page: Json) -> Json:
    return bare(page["nodes"])


def _issued(issued: Json) -> Json:
    """A client and its key, which is shown this once."""
    return {**bare(issued["client"]), "apiKey": issued["apiKey"]}


def _listed(path: str, field: str, arguments: str, selection: str, query: Mapping[str, str]) -> Bare:
    called = f"first: $limit, after: $after{arguments}"
    allowed = {**_PAGED, **query}
    types = {name: GRAPHQL_TYPES.get(kind, kind) or "" for name, kind in allowed.items()}
    step = Step(f"Query.{field}", called, f"nodes {{ {selection} }} {_PAGE}", types)
    return Bare("GET", path, [step], _list, query=allowed)


def _one(path: str, field: str, selection: str) -> Bare:
    return Bare("GET", path, [Step(f"Query.{field}", "id: $id", selection, {"id": "ID!"})], bare)


def _made(path: str, field: str, input: str, selection: str, make: Callable[[Json], Json] = bare) -> Bare:
    step = Step(f"Mutation.{field}", "input: $input", selection, {"input": f"{input}!"}, _whole)
    return Bare("POST", path, [step], make, status=201)


def _changed(path: str, field: str, input: str, selection: str, apart: Step, name: str) -> Bare:
    """`name` is what GraphQL changes by another mutation than the rest."""

    def rest(body: Json) -> dict[str, Json] | None:
        others = {key: value for key, value in body.items() if key != name}
        return {"input": others} if others or name not in body else None

    step = Step(f"Mutation.{field}", "id: $id, input: $input", selection, {"id": "ID!", "input": f"{input}!"}, rest)
    return Bare("PATCH", path, [step, apart], bare)


def _apart(field: str, name: str, type_name: str, selection: str) -> Step:
    def said(body: Json) -> dict[str, Json] | None:
        return {name: body[name]} if name in body else None

    return Step(f"Mutation.{field}", f"id: $id, {name}: ${name}", selection, {"id": "ID!", name: f"{type_name}!"}, said)


def _whole(body: Json) -> dict[str, Json]:
    return {"input": body}


def _batches(body: Json) -> dict[str, Json]:
    """A list of them, or an object that holds the list and says whose they are."""
    if isinstance(body, list):
        return {"input": body}
    if unknown := [name for name in body if name not in ("batches", "clientId")]:
        raise BadUserInput(f"the body holds no `{unknown[0][:50]}`; it holds `batches`, `clientId`")
    return {"input": body.get("batches"), **({"clientId": body["clientId"]} if "clientId" in body else {})}


ROUTES: list[Bare] = [
    _listed(
        "/users", "users", ", filter: {clientId: $clientId, role: $role, status: $status, search: $search, ids: $ids}",
        _USER, {"clientId": "ID", "role": "UserRole", "status": "UserStatus", "search": "String", "ids": "[ID!]"},
    ),
    _made("/users", "createUser", "CreateUserInput", _USER),
    _one("/users/{id}", "user", _USER),
    _changed(
        "/users/{id}", "updateUser", "UpdateUserInput", _USER,
        _apart("setUserStatus", "status", "UserStatus", _USER), "status",
    ),
    _listed(
        "/clients", "clients", ", filter: {isActive: $isActive, search: $search}", _CLIENT,
        {"isActive": "Boolean", "search": "String"},
    ),
    _made("/clients", "registerClient", "RegisterClientInput", f"client {{ {_CLIENT} }} apiKey", _issued),
    _one("/clients/{id}", "client", _CLIENT),
    _changed(
        "/clients/{id}", "updateClient", "UpdateClientInput", _CLIENT,
        _apart("setClientActive", "isActive", "Boolean", _CLIENT), "isActive",
    ),
    _listed("/families", "families", "", _FAMILY, {}),
    _made("/families", "createFamily", "CreateFamilyInput", _FAMILY),
    _one("/families/{id}", "family", _FAMILY),
    _listed(
        "/batches", "batches", ", filter: {clientId: $clientId, skus: $sku}", _BATCH,
        {"clientId": "ID", "sku": "[String!]"},
    ),
    Bare(
        "POST", "/batches",
        [Step(
            "Mutation.syncBatches", "input: $input, clientId: $clientId", "created updated unchanged",
            {"input": "[BatchInput!]!", "clientId": "ID"}, _batches,
        )], bare,
    ),
]  # fmt: skip


def omnistack_routes(schema: BaseSchema, graphql_path: str, routes: Sequence[Bare] = tuple(ROUTES)) -> list[BaseRoute]:
    operations = Operations(schema)
    by_path: dict[str, dict[str, Any]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = _Served(operations, route, graphql_path).answer
    return [Path(path, Methods(methods, _refused)) for path, methods in by_path.items()]


class _Served:
    """One path and method, and the operations that it may be."""

    def __init__(self, operations: Operations, route: Bare, graphql_path: str) -> None:
        self._operations = operations
        self._route = route
        self._graphql_path = graphql_path
        self._documents = [_document(route, step) for step in route.steps]

    async def answer(self, request: Request) -> Response:
        try:
            answer = await self._answer(request)
        except GatewayError as exc:
            answer = _refused(request, told(exc, request), 413 if isinstance(exc, TooLarge) else None)
        tell_allowance(request, answer)
        answer.headers.update(NO_STORE)
        return answer

    async def _answer(self, request: Request) -> Response:
        route, operations = self._route, self._operations
        ctx = await operations.admitted(request, self._documents[0])
        try:
            said = self._said(request)
            asked = await self._asked(request)
        except GatewayError as exc:
            operations.refused(request, self._documents[0].name, exc, ctx.principal)
            raise
        outcome, field = Outcome(None, None, {}), route.steps[0].field
        for number, (asked_document, variables) in enumerate(asked):
            if number:
                await admit(request, ctx.principal, asked_document.text)
            outcome = await operations.execute(ctx, asked_document, {**said, **variables})
            field = asked_document.field
            if outcome.value is None:
                break
        if outcome.value is None:
            error = outcome.error or told(NotFound(f"{request.url.path} is not there"), request)
            answer = _refused(request, error)
        else:
            answer = json_response(route.make(outcome.value), route.status)
            self._tell_page(request, answer, outcome.value)
        tell(answer, outcome, field, self._graphql_path)
        return answer

    def _said(self, request: Request) -> dict[str, Json]:
        parts = {name: with_text(value, name) for name, value in request.path_params.items()}
        query, schema = self._route.query or {}, self._operations.graphql
        default = {"limit": DEFAULT_LIMIT} if "limit" in query else {}
        return {**default, **from_query(request.query_params.multi_items(), query, schema), **parts}

    async def _asked(self, request: Request) -> list[tuple[Document, dict[str, Json]]]:
        """The operations that the body asks for, with what it says to them."""
        if request.method in ("GET", "HEAD"):
            return [(self._documents[0], {})]
        body = await read_json(request)
        if not isinstance(body, dict) and not (isinstance(body, list) and self._route.path == "/batches"):
            raise BadUserInput("the body is a JSON object")
        found = []
        for step, asked in zip(self._route.steps, self._documents, strict=True):
            variables = step.body(body)
            if variables is not None:
                found.append((asked, {name: self._spelled(step, name, one) for name, one in variables.items()}))
        return found

    def _spelled(self, step: Step, name: str, value: Json) -> Json:
        return spelled(value, step.types[name], self._operations.graphql)

    def _tell_page(self, request: Request, answer: Response, value: Json) -> None:
        if not isinstance(value, dict) or "pageInfo" not in value:
            return
        if value["totalCount"] is not None:
            answer.headers["X-Total-Count"] = str(value["totalCount"])
        if value["pageInfo"]["hasNextPage"]:
            following = request.url.include_query_params(after=value["pageInfo"]["endCursor"])
            answer.headers.append("Link", f'<{following.path}?{following.query}>; rel="next"')


def _document(route: Bare, step: Step) -> Document:
    name = name_of(route.method, route.path)
    if len(route.steps) > 1:
        name = f"{name}_{step.field.partition('.')[2]}"
    return document(name, step.field, step.arguments, step.selection, step.types)


def _refused(request: Request, error: Told, status: int | None = None) -> Response:
    extensions = error["extensions"]
    body = {"error": {"code": extensions["code"], "message": error["message"]}}
    return json_response(body, status or status_of(extensions), wait_headers(extensions))
