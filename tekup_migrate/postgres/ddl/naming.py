"""Which name everything gets in the target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from tekup_migrate.postgres.catalog.objects import (
    RELATIONS,
    TYPES,
    WITH_ARGUMENTS,
    CatalogObject,
    Function,
    Kind,
    ObjectKey,
)
from tekup_migrate.postgres.quoting import LONGEST_NAME_BYTES, quote_ident
from tekup_migrate.postgres.sql_text.constants import cut
from tekup_migrate.postgres.sql_text.rewriting import Renames, rewrite_printed, rewrite_written
from tekup_migrate.postgres.sql_text.tokens import tokens


@dataclass(frozen=True)
class Naming:
    """The new key of every object that is renamed, and the rewriting of text that follows from it.

    Attributes:
        keys: the target's key by the source's, for what is renamed only.
        renames: the same as names in SQL text.
        extensions: the schema of each extension whose objects live elsewhere in the target.
        following: the source's keys of what the operator lets follow in its string constants as well.
    """

    keys: Mapping[ObjectKey, ObjectKey] = field(default_factory=dict)
    renames: Renames = field(default_factory=Renames)
    extensions: Mapping[str, str] = field(default_factory=dict)
    following: frozenset[ObjectKey] = frozenset()

    def of(self, item: CatalogObject) -> Naming:
        """Return the naming that one object's own text is rewritten by."""
        renames = replace(self.renames, strings=item.key in self.following, path=search_path(item))
        return replace(self, renames=renames)

    def key(self, key: ObjectKey) -> ObjectKey:
        """Return an object's key in the target."""
        new = self.keys.get(key, key)
        if key.parent:
            schema, parent = self.relation(key.schema, key.parent)
            return msgspec.structs.replace(new, schema=schema, parent=parent)
        if key.kind is Kind.CAST:
            return msgspec.structs.replace(new, name=self.printed(key.name))
        if key.kind in WITH_ARGUMENTS:
            return msgspec.structs.replace(new, arguments=self.printed(key.arguments))
        return new

    def relation(self, schema: str, name: str) -> tuple[str, str]:
        """Return a table's, view's, sequence's or index's schema and name in the target."""
        return self.renames.relations.get((schema, name), (schema, name))

    def printed(self, text: str) -> str:
        """Rewrite text that the server printed."""
        return rewrite_printed(text, self.renames)

    def written(self, text: str) -> str:
        """Rewrite a function's body."""
        return rewrite_written(text, self.renames)


_PATH = re.compile(r"^ SET search_path TO (.+)$", re.MULTILINE)


def search_path(item: CatalogObject) -> tuple[str, ...]:
    """Return the schemas in which an object's text looks for unqualified names, in order.

    A function without a path of its own has that of whoever calls it; it more likely means what is in its own schema.
    """
    path = _PATH.search(item.head) if isinstance(item, Function) else None
    strings = (cut(token) for token in tokens(path[1])) if path else ()
    named = tuple(string[1] for string in strings if string and string[1] not in ("", "$user"))
    return named or (item.key.schema, "public")


def naming(
    keys: Mapping[ObjectKey, ObjectKey],
    members: Mapping[tuple[str, str], tuple[str, str]],
    extensions: Mapping[str, str],
) -> Naming:
    """Make a ``Naming`` from renamed objects, and from extensions that live elsewhere with all their members."""
    by_space: dict[str, dict[tuple[str, str], tuple[str, str]]] = {"relations": {}, "types": {}, "functions": {}}
    constraints = {}
    for old, new in keys.items():
        if old.kind is Kind.CONSTRAINT:
            constraints[old.name] = new.name
        space = _space(old.kind)
        if space:
            by_space[space][old.schema, old.name] = (new.schema, new.name)
    relations, types, functions = by_space.values()
    renames = Renames(relations=relations, types=types, functions=functions, members=members, constraints=constraints)
    return Naming(keys=keys, renames=renames, extensions=extensions)


def _space(kind: Kind) -> str:
    if kind in RELATIONS or kind is Kind.INDEX:
        return "relations"
    if kind in TYPES:
        return "types"
    return "functions" if kind is Kind.FUNCTION else ""


def renamed_part(name: str, old: str, new: str) -> str:
    """Return ``name`` with ``old`` replaced by ``new`` where it stands as a part between underscores.

    ``documents_pkey`` and ``idx_documents_source`` follow a rename of ``documents``. A name that would become too
    long stays as it is.
    """
    if old == new:
        return name
    start = -1
    while (start := name.find(old, start + 1)) >= 0:
        end = start + len(old)
        free_before = start == 0 or not (name[start - 1].isalnum())
        free_after = end == len(name) or not (name[end].isalnum())
        if free_before and free_after and name[start : start + len(new)] != new:
            result = name[:start] + new + name[end:]
            return result if len(result.encode()) <= LONGEST_NAME_BYTES else name
    return name


def sql_name(key: ObjectKey) -> str:
    """Return the quoted name by which statements such as COMMENT, GRANT and DROP know an object."""
    name = bare_name(key)
    arguments = key.arguments or "*" * (key.kind is Kind.AGGREGATE)
    return f"{name}({arguments})" if key.kind in WITH_ARGUMENTS else name


def bare_name(key: ObjectKey) -> str:
    """Return the quoted name by which an object is created, without arguments; an operator's takes no quotes."""
    if key.kind is Kind.CAST:
        return f"({key.name})"
    name = key.name if key.kind is Kind.OPERATOR else quote_ident(key.name)
    return f"{quote_ident(key.schema)}.{name}" if key.schema else name
