"""A small schema with everything that may stand between a root and a guarded field: an interface, a union, lists,
types and scalars that need scopes of their own."""
# mypy: disable-error-code="untyped-decorator"
# strawberry.field(...) with arguments is untyped, as in schema/.

from __future__ import annotations

from enum import Enum
from typing import Annotated, NewType

import strawberry
from strawberry.schema.config import StrawberryConfig

from schema.directives import RequiresScopes, requires
from schema.scalars import SCALARS, Scope

resolved: list[str] = []
"""The guarded fields whose resolvers ran, in their order."""

Seal = NewType("Seal", str)
SEAL = strawberry.scalar(name="Seal", serialize=str, parse_value=str, directives=[requires("seal:read")])


@strawberry.enum(directives=[requires("mood:read")])
class Mood(Enum):
    CALM = "CALM"
    WILD = "WILD"


@strawberry.interface
class Animal:
    name: str = "somebody"

    @strawberry.field(directives=[requires("animal:read")])
    def weight(self) -> int | None:
        resolved.append(f"{type(self).__name__}.weight")
        return 4

    @strawberry.field
    def friends(self) -> list[Animal]:
        return [Cat(), Dog()]


@strawberry.type
class Cat(Animal):
    lives: int = 9

    @strawberry.field(directives=[RequiresScopes(scopes=[[Scope("cat:read")], [Scope("vet:read")]])])
    def secret(self) -> str | None:
        resolved.append("Cat.secret")
        return "meow"

    @strawberry.field
    def prey(self) -> Annotated[Cat | Dog, strawberry.union("Prey")] | None:
        return Dog()


@strawberry.type
class Dog(Animal):
    @strawberry.field(directives=[requires("dog:read")])
    def weight(self) -> int | None:
        resolved.append("Dog.weight")
        return 30

    @strawberry.field
    def secret(self) -> str | None:
        resolved.append("Dog.secret")
        return "woof"

    @strawberry.field
    def mood(self) -> Mood | None:
        resolved.append("Dog.mood")
        return Mood.CALM


@strawberry.interface(directives=[requires("building:read")])
class Building:
    name: str = "a house"


@strawberry.type(directives=[requires("vault:read")])
class Vault(Building):
    @strawberry.field
    def seal(self) -> Seal | None:
        resolved.append("Vault.seal")
        return Seal("unbroken")


@strawberry.type
class Shed(Building):
    @strawberry.field
    def inhabitants(self) -> list[Animal]:
        return [Dog()]


@strawberry.type
class Zoo:
    @strawberry.field
    def cat(self) -> Cat:
        return Cat()

    @strawberry.field
    def animals(self) -> list[Animal]:
        return [Cat(), Dog()]

    @strawberry.field
    def anything(self) -> list[Annotated[Cat | Dog, strawberry.union("Anything")]]:
        return [Dog(), Cat()]

    @strawberry.field
    def vault(self) -> Vault | None:
        resolved.append("Zoo.vault")
        return Vault()

    @strawberry.field
    def shed(self) -> Shed | None:
        resolved.append("Zoo.shed")
        return Shed()

    @strawberry.field
    def buildings(self) -> list[Building] | None:
        resolved.append("Zoo.buildings")
        return [Vault(), Shed()]

    @strawberry.field(directives=[requires("tour:read")])
    def places(self) -> list[Annotated[Cat | Vault, strawberry.union("Sight")]] | None:
        resolved.append("Zoo.places")
        return [Cat(), Vault()]

    @strawberry.field
    def again(self) -> Zoo:
        return Zoo()


@strawberry.type
class Query:
    @strawberry.field
    def zoo(self) -> Zoo:
        return Zoo()


NEEDS: dict[str, list[set[str]]] = {
    "Cat.weight": [{"animal:read"}],
    "Cat.secret": [{"cat:read"}, {"vet:read"}],
    "Dog.weight": [{"dog:read", "animal:read"}],
    "Dog.mood": [{"mood:read"}],
    "Vault.seal": [{"seal:read"}],
    "Zoo.vault": [{"vault:read", "building:read"}],
    "Zoo.shed": [{"building:read"}],
    "Zoo.buildings": [{"building:read", "vault:read"}],
    "Zoo.places": [{"tour:read", "vault:read", "building:read"}],
}
"""What each guarded field needs in the end, any of the sets, worked out by hand."""
ALL = sorted({scope for sets in NEEDS.values() for each in sets for scope in each})


class _Schema(strawberry.federation.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing, as in the served schema: refusals are no news."""


def make_schema() -> strawberry.federation.Schema:
    """Without any check."""
    return _Schema(
        query=Query, types=[Cat, Dog, Vault, Shed], config=StrawberryConfig(scalar_map={**SCALARS, Seal: SEAL})
    )
