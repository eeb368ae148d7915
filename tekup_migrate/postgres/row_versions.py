"""Row versions: what tells that a key range still holds the very rows it held before, without reading their values.

Postgres never changes a row in place: an insert or an update makes a new version of the row, which carries the number
of the transaction that made it (``xmin``) and its place in the table's file (``ctid``). As long as it is the same file,
read in the same way, a key range with the same versions holds the same rows. Values stored apart belong to their
version and need not be read. Source: "System Columns" and "Database Physical Storage" of the Postgres manual.

This sees every change of rows that comes through SQL. What it cannot see is a server that forgets what it had
committed, as after a crash without ``synchronous_commit``, or a disk that was put back as it was earlier or loses bits.
The read-only comparison reads every value and never relies on versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import Digest, hash_of, mixed
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.table import Table

if TYPE_CHECKING:
    import asyncpg

# Asked beforehand: an error would end the transaction that the snapshot lives in.
_MAY_ASK = """
    SELECT pg_catalog.bool_and(coalesce(
        pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(name), 'EXECUTE'), false))
    FROM pg_catalog.unnest(ARRAY['pg_catalog.pg_control_system()', 'pg_catalog.pg_control_checkpoint()',
        'pg_catalog.pg_current_snapshot()']) AS name
"""
# The server and its history, as a restore to an earlier moment begins another; half the numbers that transactions have
# before they begin anew; the file; and all that decides how its bytes are read. Only the heap keeps versions like this,
# and a virtual column is computed anew from whatever its function is today. What an unlogged table's transactions did
# need not be on disk when they end, so that after a crash others may be given their numbers.
_HOME = """
    SELECT pg_catalog.concat_ws(' ',
        (SELECT system_identifier FROM pg_catalog.pg_control_system()),
        (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
        pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 >> 31,
        pg_catalog.current_setting('server_version_num'), d.oid, c.oid, pg_catalog.pg_relation_filenode(c.oid),
        (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid,
                    a.atttypmod, a.attisdropped, a.atthasmissing, a.attgenerated), ',' ORDER BY a.attnum))
         FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
        (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', e.oid, e.enumtypid, e.enumlabel), ','
                    ORDER BY e.oid)) FROM pg_catalog.pg_enum AS e),
        (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', x.extname, x.extversion), ',' ORDER BY x.extname)
         FROM pg_catalog.pg_extension AS x))
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'heap'
    JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
    WHERE c.oid = $1::text::regclass AND c.relpersistence = 'p'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS v WHERE v.attrelid = c.oid AND v.attgenerated = 'v')
"""


async def read_home(connection: asyncpg.Connection, relation: Relation) -> str | None:
    """Return what must be unchanged for a table's row versions to mean the same rows; None where it cannot be told."""
    if not await connection.fetchval(_MAY_ASK):
        return None
    home: str | None = await connection.fetchval(_HOME, relation.sql)
    return home


@dataclass(frozen=True)
class RowVersions:
    """Reads the row versions of one table on one side.

    Attributes:
        table: the table on that side.
        key: the key's columns.
        hashed: whether by the server's hash functions, as for ``RowDigests``.
    """

    table: Table
    key: tuple[str, ...]
    hashed: bool

    async def of(self, connection: asyncpg.Connection, parts: Sequence[KeyRange]) -> list[str]:
        """Return a mark for each key range: the same as before exactly when it holds the same row versions."""
        version = hash_of("ARRAY[pg_catalog.tidsend(ctid), pg_catalog.xidsend(xmin)]::bytea[]", hashed=self.hashed)
        key = self.table.pick(self.key)
        query = " UNION ALL ".join(
            f"""
            SELECT {place} AS place, pg_catalog.count(*), coalesce(pg_catalog.sum(version), 0),
                   coalesce(pg_catalog.sum({mixed("version", hashed=self.hashed)}), 0)
            FROM (SELECT {version} AS version FROM ONLY {self.table.relation.sql}
                  WHERE {part.where_literal(key)} OFFSET 0) AS rows
            """
            for place, part in enumerate(parts)
        )
        found = sorted(await connection.fetch(query), key=lambda row: row[0])
        return [str(Digest.of_sums(*row[1:])) for row in found]
