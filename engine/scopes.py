"""`@requiresScopes`, enforced: a field without permission is null with FORBIDDEN, and its resolver never runs.

What an operation may have is settled once, before it runs; the guards in front of resolvers only look it up, and refuse
what nobody settled. So too for the root fields of Mutation and Subscription, of which some callers may use but a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

import strawberry
from graphql import DocumentNode, GraphQLField, GraphQLSchema, is_object_type
from strawberry.extensions import SchemaExtension

from core import operation
from core.errors import Forbidden
from core.principals import Principal
from engine._requirements import OPEN, Alternatives, needs
from engine._selections import selected

CACHED_OPERATIONS = 2000
_RULES = "scope-rules"


def enforce_scopes(schema: strawberry.Schema) -> None:
    """Put a guard in front of every field that needs scopes, and the check of each operation before its execution.

    Raises ValueError for a directive that names no scope.
    """
    graphql_schema = schema._schema  # noqa: SLF001 - the graphql-core schema has no public name
    rules = graphql_schema.extensions[_RULES] = ScopeRules(graphql_schema)
    for coordinate, field in rules.guarded.items():
        _put_guard(rules, coordinate, field)
    schema.extensions = (*schema.extensions, ScopeCheck)


class ScopeCheck(SchemaExtension):
    """Settles which guarded fields the running operation may have."""

    def on_execute(self) -> Iterator[None]:
        asked = self.execution_context
        assert asked.graphql_document is not None  # noqa: S101 - it was parsed before
        rules = rules_of(asked.schema._schema)  # noqa: SLF001 - as above
        settled = rules.settled(asked.graphql_document, asked.operation_name, asked.context.principal)
        operation.current().permitted = settled.permitted
        yield


def refused(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, principal: Principal
) -> frozenset[str]:
    """The fields that an operation selects, as `Type.field`, and the principal may not have. A field of an interface
    stands for that field of every type that it may be. What @skip and @include leave out counts as selected."""
    return rules_of(schema).settled(document, operation_name, principal).refused


def allows(schema: GraphQLSchema, coordinate: str, principal: Principal) -> bool:
    """Whether the principal may have a field, given as `Type.field`. Raises LookupError when there is no such field."""
    return refusal(schema, coordinate, principal) is None


def refusal(schema: GraphQLSchema, coordinate: str, principal: Principal) -> str | None:
    """Why the principal may not have a field, in words; None when they may. Raises as `allows`."""
    type_name, _, field_name = coordinate.partition(".")
    if field_name not in getattr(schema.get_type(type_name), "fields", {}):
        raise LookupError(f"the schema has no field {coordinate}")
    return rules_of(schema).refusal(coordinate, principal.scopes, principal.allowed_writes)


class Settled(NamedTuple):
    """The guarded fields that an operation selects, as `Type.field`."""

    permitted: frozenset[str]
    refused: frozenset[str]


class ScopeRules:
    """What the fields of a schema need, and what was settled about the operations that ran last."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._needs: dict[str, Alternatives] = {}
        self._writes: dict[str, str] = {}
        """Names of the root fields of Mutation and Subscription by `Type.field`."""
        self.guarded: dict[str, GraphQLField] = {}
        """By `Type.field`: what not everybody may have, or not by every credential."""
        writes = (schema.mutation_type, schema.subscription_type)
        for parent in schema.type_map.values():
            if is_object_type(parent) and not parent.name.startswith("__"):
                for name, field in parent.fields.items():
                    coordinate = f"{parent.name}.{name}"
                    alternatives, is_write = needs(schema, parent, name), parent in writes
                    if alternatives != OPEN or is_write:
                        self.guarded[coordinate] = field
                        self._needs[coordinate] = alternatives
                    if is_write:
                        self._writes[coordinate] = name
        self._settle = lru_cache(CACHED_OPERATIONS)(self._settle_anew)

    def settled(self, document: DocumentNode, operation_name: str | None, principal: Principal) -> Settled:
        """Remembered for each document, operation and set of scopes."""
        return self._settle(_Same(document), operation_name, principal.scopes, principal.allowed_writes)

    def refusal(self, coordinate: str, scopes: frozenset[str], allowed_writes: frozenset[str] | None) -> str | None:
        """Why a caller who holds these scopes may not have a field, in words; None when they may."""
        write = self._writes.get(coordinate)
        if write is not None and allowed_writes is not None and write not in allowed_writes:
            return f"{coordinate} is not open to these credentials"
        alternatives = self._needs.get(coordinate, OPEN)
        if any(needed <= scopes for needed in alternatives):
            return None
        missing = dict.fromkeys(" and ".join(sorted(needed - scopes)) for needed in alternatives)
        return f"{coordinate} needs {' or '.join(missing)}"

    def _settle_anew(
        self,
        document: _Same,
        operation_name: str | None,
        scopes: frozenset[str],
        allowed_writes: frozenset[str] | None,
    ) -> Settled:
        asked = selected(self._schema, document.node, operation_name) & self.guarded.keys()
        denied = frozenset(one for one in asked if self.refusal(one, scopes, allowed_writes) is not None)
        return Settled(asked - denied, denied)


def rules_of(schema: GraphQLSchema) -> ScopeRules:
    """Those of a schema whose scopes are enforced; LookupError for any other."""
    return cast("ScopeRules", schema.extensions[_RULES])


class _Same:
    """A document as a key. It equals itself alone, so that contents are not compared; being kept with what was settled
    about it, its identity passes to no other."""

    __slots__ = ("node",)

    def __init__(self, node: DocumentNode) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.node is other.node

    def __hash__(self) -> int:
        return id(self.node)


def _put_guard(rules: ScopeRules, coordinate: str, field: GraphQLField) -> None:
    # Strawberry gives subscriptions, and them alone, something to subscribe to.
    guarded_by = "resolve" if field.subscribe is None else "subscribe"
    resolve = getattr(field, guarded_by)

    def guarded(root: Any, info: Any, **arguments: Any) -> Any:
        if coordinate not in operation.current().permitted:
            principal = info.context.principal
            reason = rules.refusal(coordinate, principal.scopes, principal.allowed_writes)
            raise Forbidden(reason or f"{coordinate} was not checked before its operation ran")
        return resolve(root, info, **arguments)

    setattr(field, guarded_by, guarded)
