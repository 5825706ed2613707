"""Which fields an operation selects, with their types: what every check before its execution begins with."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    get_operation_ast,
    is_abstract_type,
    is_composite_type,
)

Place = tuple[GraphQLNamedType | None, SelectionSetNode | None]
"""A selection set and the type that it is applied to."""


def selected(schema: GraphQLSchema, document: DocumentNode, operation_name: str | None) -> frozenset[str]:
    """The fields that an operation may come to execute, as `Type.field` of object types, without introspection.

    A field of an interface stands for that field of every type that it may be; @skip and @include leave nothing out.
    Nothing for an operation that is not there. Each selection set is looked at once: what a fragment selects depends
    on its type condition alone, wherever it is spread, even within itself.
    """
    chosen = get_operation_ast(document, operation_name)
    if chosen is None:
        return frozenset()
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: set[str] = set()
    # No recursion: a document may be deeper than Python's stack.
    pending: list[Place] = [(schema.get_root_type(chosen.operation), chosen.selection_set)]
    while pending:
        parent, selection_set = pending.pop()
        if selection_set is None or not is_composite_type(parent):
            continue
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                name = node.name.value
                field = None if name.startswith("__") else schema.get_field(parent, name)
                if field is not None:
                    found.update(f"{one.name}.{name}" for one in _possible(schema, parent))
                    pending.append((get_named_type(field.type), node.selection_set))
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                pending.append((schema.get_type(condition.name.value) if condition else parent, node.selection_set))
            elif isinstance(node, FragmentSpreadNode) and (fragment := fragments.pop(node.name.value, None)):
                pending.append((schema.get_type(fragment.type_condition.name.value), fragment.selection_set))
    return frozenset(found)


def _possible(schema: GraphQLSchema, parent: GraphQLCompositeType) -> Iterator[GraphQLNamedType]:
    if is_abstract_type(parent):
        yield from schema.get_possible_types(parent)
    else:
        yield parent
