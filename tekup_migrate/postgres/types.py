"""Postgres types as far as copying and comparing need them: how a value is digested, and whether it carries OIDs.

Two databases number their own types differently, and the binary form of arrays, composites and ``reg*`` values
holds such numbers. Where that is so, another form is used, and said.
"""

# ruff: noqa: SIM905 - names side by side read better than a column of quotes

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.quoting import quote_ident

if TYPE_CHECKING:
    import asyncpg

FIRST_USER_OID = 16384
"""OIDs from here on are given out by each database for itself (``FirstNormalObjectId`` in Postgres' sources)."""

_BUILT_IN = frozenset(
    "bool bytea char name int8 int2 int4 text json xml jsonb jsonpath point lseg path box polygon line circle "
    "float4 float8 money macaddr macaddr8 inet cidr bpchar varchar date time timestamp timestamptz interval timetz "
    "bit varbit numeric uuid pg_lsn tsvector tsquery oid xid xid8 cid tid txid_snapshot pg_snapshot".split()
)
_OF_EXTENSIONS = frozenset("vector halfvec sparsevec citext hstore ltree geometry geography".split())
_REG = frozenset(
    "regproc regprocedure regoper regoperator regclass regcollation regtype regrole regnamespace "
    "regconfig regdictionary regdatabase".split()
)
_OVERLAY_ELEMENT_OID = r"pg_catalog.overlay({}, '\x00000000'::bytea, 9, 4)"
"""``array_send`` writes three int4: dimensions, a NULL flag, and the element type's OID (arrayfuncs.c)."""


@dataclass(frozen=True)
class PgType:
    """One type of one database.

    Attributes:
        oid: its number in this database.
        schema: its schema's name.
        name: its name in the catalog (``int4``, ``_text``).
        kind: ``typtype``: b(ase), c(omposite), d(omain), e(num), r(ange), m(ultirange), p(seudo).
        length: bytes of a value, or negative where they vary.
        send: the qualified, quoted ``send`` function; empty where a value cannot be sent and received in binary form.
        parts: a domain's base, an array's element, a range's subtype, or a composite's fields.
        is_array: whether it is a true array.
        labels: an enum's labels in order.
    """

    oid: int
    schema: str
    name: str
    kind: str
    length: int
    send: str
    parts: tuple[PgType, ...]
    is_array: bool
    labels: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The qualified, quoted name."""
        return f"{quote_ident(self.schema)}.{quote_ident(self.name)}"

    @property
    def base(self) -> PgType:
        """The type below all domains."""
        return self.parts[0].base if self.kind == "d" else self

    @property
    def is_user_defined(self) -> bool:
        """Whether each database numbers it for itself."""
        return self.oid >= FIRST_USER_OID

    @property
    def equals(self) -> str:
        """The operator that tells equal values: an extension brings its own, beside its type."""
        base = self.base
        apart = base.kind == "b" and not base.is_array and base.schema != "pg_catalog"
        return f"OPERATOR({quote_ident(base.schema)}.=)" if apart else "="

    @property
    def copies_with_oids(self) -> bool:
        """Whether the binary COPY form holds numbers that another database would not understand."""
        base = self.base
        if base.schema == "pg_catalog" and base.name in _REG:
            return True
        if base.is_array or base.kind == "c":
            return any(part.is_user_defined or part.copies_with_oids for part in base.parts)
        return any(part.copies_with_oids for part in base.parts)

    @property
    def copies_as_binary(self) -> bool:
        """Whether its binary COPY form exists: some types of extensions have none, nor has ``aclitem``."""
        return bool(self.base.send) and all(part.copies_as_binary for part in self.base.parts)

    @property
    def has_fields(self) -> bool:
        """Whether there is a composite inside: its fields can be emptied without a row being touched."""
        return self.kind == "c" or any(part.has_fields for part in self.parts)

    @property
    def is_sent_alike(self) -> bool:
        """Whether ``send`` gives the same bytes for the same value in every database and version."""
        base = self.base
        if base.is_array:
            # The element's number is blanked out, which cannot be done a level further down.
            return all(part.is_sent_alike and not part.base.is_array for part in base.parts)
        if base.kind in "rm":
            return all(part.is_sent_alike and not part.base.is_array for part in base.parts)
        if base.kind == "e":
            return True
        known = _BUILT_IN if base.schema == "pg_catalog" else _OF_EXTENSIONS
        return base.kind == "b" and base.name in known and bool(base.send)

    def bytes_of(self, value: str) -> str:
        """Return SQL for the bytes that stand for ``value``; NULL for NULL.

        The ``send`` form where it is alike everywhere, else the text form under our pinned settings.
        """
        base = self.base
        if base.name == "bytea" and base.schema == "pg_catalog":
            return value
        if not self.is_sent_alike:
            # Not a cast: there may be one of the user's own, which need not show all of the value.
            text = f"pg_catalog.textsend(pg_catalog.format('%s', {value}))"
            return f"CASE WHEN {value} IS DISTINCT FROM NULL THEN {text} END"
        if base.is_array and base.parts[0].is_user_defined:
            return _OVERLAY_ELEMENT_OID.format(f"pg_catalog.array_send({value})")
        # A function that takes any enum does not take a domain over one.
        return f"{base.send}({value}::{base.sql})" if self.kind == "d" else f"{base.send}({value})"

    @property
    def travels_as_sent(self) -> bool:
        """Whether ``bytes_of`` gives the very bytes that binary COPY carries for a value."""
        base = self.base
        return self.is_sent_alike and not (base.is_array and base.parts[0].is_user_defined)

    @property
    def signature(self) -> tuple[object, ...]:
        """What must be equal on both sides.

        A type's schema may differ, because extensions live in several; an enum, domain or composite may have got
        another name on its way.
        """
        schema = "pg_catalog" if self.schema == "pg_catalog" else ""
        if self.is_array:
            return ("array", *(part.signature for part in self.parts))
        name = self.name if self.kind == "b" or schema else ""
        return (schema, name, self.kind, *(part.signature for part in self.parts))

    @property
    def enums(self) -> tuple[PgType, ...]:
        """Every enum inside this type, in the order of its parts."""
        inner = tuple(enum for part in self.parts for enum in part.enums)
        return (self, *inner) if self.kind == "e" else inner


_TYPES = """
    WITH RECURSIVE wanted(oid) AS (
        SELECT pg_catalog.unnest($1::oid[])
        UNION
        SELECT part.oid
        FROM wanted
        JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
        LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid
        LEFT JOIN pg_catalog.pg_attribute AS a ON t.typtype = 'c' AND a.attrelid = t.typrelid
             AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype), (a.atttypid)) AS part(oid)
        WHERE part.oid <> 0
    )
    SELECT t.oid::int8 AS oid, n.nspname::text AS schema, t.typname::text AS name, t.typtype::text AS kind,
           t.typlen::int4 AS length, t.typbasetype::int8 AS base, t.typelem::int8 AS element,
           coalesce(r.rngsubtype, 0)::int8 AS subtype,
           t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1 AS is_array,
           sn.nspname::text AS send_schema, s.proname::text AS send_name,
           ARRAY(SELECT a.atttypid::int8 FROM pg_catalog.pg_attribute AS a
                 WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY a.attnum) AS fields,
           ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e
                 WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels
    FROM wanted
    JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid
    LEFT JOIN pg_catalog.pg_proc AS s ON s.oid = t.typsend AND t.typreceive <> 0
    LEFT JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.pronamespace
"""


async def read_types(connection: asyncpg.Connection, oids: Iterable[int]) -> dict[int, PgType]:
    """Return the types with these OIDs, with everything they are made of."""
    rows = {row["oid"]: row for row in await connection.fetch(_TYPES, list(oids))}
    made: dict[int, PgType] = {}

    def make(oid: int) -> PgType:
        """Return one type, its parts made first and each of them once."""
        if oid not in made:
            row = rows[oid]
            singles = [row["base"], row["element"] if row["is_array"] else 0, row["subtype"]]
            send = f"{quote_ident(row['send_schema'])}.{quote_ident(row['send_name'])}" if row["send_name"] else ""
            made[oid] = PgType(
                oid=oid,
                schema=row["schema"],
                name=row["name"],
                kind=row["kind"],
                length=row["length"],
                send=send,
                parts=tuple(make(part) for part in [*filter(None, singles), *row["fields"]]),
                is_array=row["is_array"],
                labels=tuple(row["labels"]),
            )
        return made[oid]

    return {oid: make(oid) for oid in rows}
