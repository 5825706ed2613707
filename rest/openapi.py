"""The REST layer in OpenAPI's words: made of the tables of routes and of the schema's input types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    is_required_input_field,
    type_from_ast,
)
from graphql.language import parse_type

from resolvers.pages import MAX_FIRST
from rest import omnistack, routes
from rest.envelope import STATUS
from rest.operations import name_of
from rest.parameters import DEFAULT_LIMIT, LIMIT, OFFSET, PAGE, WHERE
from rest.routes import PREFIX, Route

Json = dict[str, Any]

_OWN: Mapping[str, Json] = {
    LIMIT: {"type": "integer", "minimum": 1, "maximum": MAX_FIRST, "default": DEFAULT_LIMIT},
    OFFSET: {"type": "integer", "minimum": 0},
    PAGE: {"type": "integer", "minimum": 1},
    WHERE: {"type": "string", "description": "JSON; or as `where[slug][equals]=x`."},
}
_SCALARS: Mapping[str, Json] = {
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "Decimal": {"type": ["string", "number"]},
    "DateTime": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
    "JSON": {},
    "Upload": {"type": "string", "format": "binary"},
}
"""Every other scalar is a text."""
_REFUSALS = ("BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "RATE_LIMITED", "UPSTREAM_UNAVAILABLE")
_SECURITY: list[Json] = [{"service": []}, {"platform": [], "client": []}, {"user": []}]
_PART = re.compile(r"\{(\w+)(?::path)?\}")


def openapi(schema: GraphQLSchema) -> Json:
    """The whole document."""
    inputs = _Inputs(schema)
    paths: dict[str, Json] = {}
    for route in routes.ROUTES:
        paths.setdefault(_plain(PREFIX + route.path), {})[route.method.lower()] = _route(route, inputs)
    paths[f"{PREFIX}/health"] = {"get": _health()}
    for bare in omnistack.ROUTES:
        paths.setdefault(bare.path, {})[bare.method.lower()] = _bare(bare, inputs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OmniStack Gateway, REST",
            "version": "1",
            "description": "Routes for callers that came before GraphQL, which has all of this and more at `/graphql`.",
        },
        "paths": paths,
        "components": {
            "schemas": inputs.components | {"Error": _ERROR, "Meta": _META},
            "securitySchemes": {
                "service": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "platform": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "client": {"type": "apiKey", "in": "header", "name": "client-x-api-key"},
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": _SECURITY,
    }


class _Inputs:
    """GraphQL's input types as JSON Schema; those that were asked for are `components`, in the end."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.components: dict[str, Json] = {}

    def of(self, written: str) -> Json:
        """Of a type as GraphQL writes it, or one of our own for parameters."""
        if written in _OWN:
            return dict(_OWN[written])
        return self._of(type_from_ast(self._schema, parse_type(written)))

    def _of(self, kind: Any) -> Json:
        if isinstance(kind, GraphQLNonNull):
            return self._of(kind.of_type)
        if isinstance(kind, GraphQLList):
            return {"type": "array", "items": self._of(kind.of_type)}
        if isinstance(kind, GraphQLEnumType):
            return {"type": "string", "enum": list(kind.values)}
        if isinstance(kind, GraphQLInputObjectType):
            self._put(kind)
            return {"$ref": f"#/components/schemas/{kind.name}"}
        return dict(_SCALARS.get(kind.name, {"type": "string"}))

    def _put(self, kind: GraphQLInputObjectType) -> None:
        if kind.name in self.components:
            return
        made = self.components[kind.name] = {"type": "object", "additionalProperties": False}
        fields = kind.fields
        made["properties"] = {
            name: self._of(each.type) | ({"description": each.description} if each.description else {})
            for name, each in fields.items()
        }
        if kind.description:
            made["description"] = kind.description
        if required := [name for name, each in fields.items() if is_required_input_field(each)]:
            made["required"] = required


_ERROR: Json = {
    "type": "object",
    "properties": {
        "success": {"const": False},
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": list(STATUS)},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
            "required": ["code", "message"],
        },
        "meta": {"$ref": "#/components/schemas/Meta"},
    },
}
_META: Json = {
    "type": "object",
    "properties": {
        "source": {"type": "string", "description": "Which backend it comes from."},
        "timestamp": {"type": "string", "format": "date-time"},
        "requestId": {"type": "string"},
    },
    "required": ["source", "timestamp", "requestId"],
}


def _route(route: Route, inputs: _Inputs) -> Json:
    answered = {
        "type": "object",
        "properties": {"success": {"const": True}, "data": {}, "meta": {"$ref": "#/components/schemas/Meta"}},
        "required": ["success", "data", "meta"],
    }
    meta = {"source": route.source.value, "timestamp": "2026-06-01T10:00:00.000Z", "requestId": "0a1b2c3d"}
    example = {"success": True, "data": route.example, "meta": meta}
    made: Json = {
        "tags": [route.path.split("/")[1]],
        "operationId": name_of(route.method, route.path),
        "summary": route.summary,
        "description": f"As `{route.field}` of GraphQL, which says who may have what.",
        "deprecated": True,
        "parameters": [
            *_parts(route.path, route.parts, inputs),
            *_query(route.query, inputs),
            *([_IDEMPOTENCY] if route.is_write else []),
        ],
        "responses": {
            str(route.status): _content("What was asked for.", answered, example),
            **_refusals({"$ref": "#/components/schemas/Error"}),
        },
    }
    if body := _body(route, inputs):
        made["requestBody"] = body
    return made


def _body(route: Route, inputs: _Inputs) -> Json | None:
    if "file" in route.fixed:
        file: Json = {"type": "string", "format": "binary"}
        properties = {"file": file, "key": {"type": "string"}}
        form: Json = {"schema": {"type": "object", "properties": properties, "required": ["file"]}}
        content = {"multipart/form-data": form, "application/octet-stream": {"schema": file}}
        return {"required": True, "content": content}
    if route.input is not None:
        return {"required": True, "content": {"application/json": {"schema": inputs.of(route.input)}}}
    if not route.named:
        return None
    properties = {name: inputs.of(kind) for name, kind in route.named.items()}
    required = [name for name, kind in route.named.items() if kind.endswith("!")]
    said: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {
        "required": bool(required),
        "content": {"application/json": {"schema": said | ({"required": required} if required else {})}},
    }


def _bare(bare: omnistack.Bare, inputs: _Inputs) -> Json:
    error = {"type": "object", "properties": {"error": _ERROR["properties"]["error"]}}
    fields = ", ".join(f"`{step.field}`" for step in bare.steps)
    made: Json = {
        "tags": [bare.path.split("/")[1]],
        "operationId": name_of(bare.method, bare.path),
        "summary": f"{bare.method} {bare.path}",
        "description": f"As {fields} of GraphQL. Rows have their id as `_id` and `id`.",
        "deprecated": True,
        "parameters": [
            *_parts(bare.path, {"id": "ID!"}, inputs),
            *_query(bare.query or {}, inputs),
            *([_IDEMPOTENCY] if bare.method != "GET" else []),
        ],
        "responses": {
            str(bare.status): _content("The row, or the list of rows.", {}, None),
            **_refusals(error),
        },
    }
    if bare.method != "GET":
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _bare_body(bare, inputs)}}}
    return made


def _bare_body(bare: omnistack.Bare, inputs: _Inputs) -> Json:
    """The input, and what is changed besides it."""
    types = {name: kind for step in bare.steps for name, kind in step.types.items() if name != "id"}
    told = inputs.of(types.pop("input"))
    apart = {name: inputs.of(kind) for name, kind in types.items()}
    if not apart or told.get("type") == "array":
        return told
    # What is said apart is no property of the input, which therefore has to let others be.
    whole = inputs.components[told["$ref"].rpartition("/")[2]]
    return {**whole, "properties": {**whole["properties"], **apart}}


def _health() -> Json:
    example = {"status": "operational", "systems": {"medusa": {"status": "up", "latency": 45}}}
    return {
        "tags": ["health"],
        "operationId": "health",
        "summary": "How every system is doing",
        "responses": {"200": _content("By system, with milliseconds.", {"type": "object"}, example)},
    }


_IDEMPOTENCY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key again, with the same request, is answered with the first answer.",
}


def _parts(path: str, types: Mapping[str, str], inputs: _Inputs) -> Iterable[Json]:
    for name in _PART.findall(path):
        schema = inputs.of(types[name])
        if "enum" in schema:
            schema["enum"] = [value.lower().replace("_", "-") for value in schema["enum"]]
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(query: Mapping[str, str], inputs: _Inputs) -> Iterable[Json]:
    for name, kind in query.items():
        yield {"name": name, "in": "query", "schema": inputs.of(kind)}


def _refusals(schema: Json) -> Json:
    return {str(STATUS[code]): _content(code, schema, None) for code in _REFUSALS}


def _content(description: str, schema: Json, example: Any) -> Json:
    told: Json = {"schema": schema} | ({} if example is None else {"example": example})
    return {"description": description, "content": {"application/json": told}}


def _plain(path: str) -> str:
    return path.replace(":path}", "}")
