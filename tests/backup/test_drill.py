"""A drill passes only when every row came back, and names what did not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.backup.drill import drill, drill_major, expected_seconds
from tekup_migrate.backup.dump import backup_project
from tekup_migrate.backup.manifest import CHECKSUMS, Manifest, TableContent, write_manifest
from tekup_migrate.backup.proved import proved_note, proved_tables
from tekup_migrate.backup.trial import RestoredTable, RestoreTarget
from tekup_migrate.errors import MigrationError, PauseRequested
from tekup_migrate.events import Event, Progress, Ran
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.server import running_server
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tekup_migrate.steps import Verdict
from tests.backup.conftest import Ledger
from tests.servers import SharedServer

Events = list[Event]


def restore_target(shared: SharedServer) -> RestoreTarget:
    server = shared.server
    url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database="postgres")
    return RestoreTarget(url, server.password)


@pytest.fixture(params=["16", "18"])
def throw_away(request: pytest.FixtureRequest) -> RestoreTarget:
    """Each of the embedded servers in turn."""
    name = {"16": "source_server", "18": "target_server"}[request.param]
    return restore_target(request.getfixturevalue(name))


async def backed_up(ledger: Ledger, root: Path, **changes: object) -> Path:
    return (await backup_project(ledger.request(**changes), root, listen=lambda _: None, gate=Gate()))[0]


async def test_a_whole_backup_passes_and_leaves_no_database(
    ledger: Ledger, root: Path, throw_away: RestoreTarget, events: Events, source_server: SharedServer
) -> None:
    folder = await backed_up(ledger, root)
    result = await drill(folder, throw_away, listen=events.append, gate=Gate())
    assert result.left_out == ()
    assert result.verdict is Verdict.PASSED
    assert [table.rows for table in result.tables] == [200, 20]
    assert result.evidence.summary == "2 of 2 tables restored and equal, 220 rows"
    shown = [event for event in events if isinstance(event, Progress) and event.label == "pg_restore"]
    assert shown[-1].unit == "bytes"
    assert shown[-1].done == shown[-1].total > 0
    connection = await connect_as_superuser(source_server.server)
    left = await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'drill%'")
    await connection.close()
    assert left == 0


async def test_a_changed_row_in_the_source_is_not_what_the_drill_compares_with(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    await ledger.execute("UPDATE public.accounts SET title = 'later'")
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED


async def test_rows_that_differ_from_the_manifest_are_found(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    manifest = Manifest.load(folder)
    tables = tuple(msgspec.structs.replace(table, digest="1:0") for table in manifest.tables)
    write_manifest(folder, msgspec.structs.replace(manifest, tables=tables))
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.DIFFERS
    assert any("public.accounts: differs" in fact for fact in result.evidence.facts)


async def test_a_table_that_is_missing_from_the_archive_is_found(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    manifest = Manifest.load(folder)
    extra = msgspec.structs.replace(manifest.tables[0], name="forgotten")
    write_manifest(folder, msgspec.structs.replace(manifest, tables=(*manifest.tables, extra)))
    with pytest.raises(MigrationError, match="damaged") as caught:
        await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert "forgotten" in caught.value.details


async def test_what_needs_something_outside_the_archive_is_named_and_the_rest_passes(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    await ledger.execute(
        "ALTER TABLE public.accounts ADD CONSTRAINT of_a_user FOREIGN KEY (owner) REFERENCES auth.users (id)"
    )
    folder = await backed_up(ledger, root)
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    [left] = result.left_out
    assert "of_a_user" in left.entry
    assert left.outside
    assert result.verdict is Verdict.PASSED
    assert any("of_a_user" in fact for fact in result.evidence.facts)


async def test_a_damaged_backup_is_not_restored_at_all(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    (folder / "archive" / "toc.dat").unlink()
    with pytest.raises(MigrationError, match="damaged"):
        await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())


async def test_the_drill_uses_the_oldest_embedded_server_that_the_archive_fits(ledger: Ledger, root: Path) -> None:
    manifest = Manifest.load(await backed_up(ledger, root))
    assert drill_major(manifest) == 16
    assert 5 <= expected_seconds(manifest) < 60
    assert drill_major(msgspec.structs.replace(manifest, server_version="17.4")) == 18
    assert drill_major(msgspec.structs.replace(manifest, server_version="15.1")) == 16


async def test_a_bare_server_gets_roles_and_functions_and_passes(ledger: Ledger, root: Path, events: Events) -> None:
    folder = await backed_up(ledger, root)
    async with rehearsal_directory() as directory, running_server(directory, name="bare", major=16) as server:
        url = ConnectionUrl(user=server.superuser, host=server.host, port=server.port, database="postgres")
        result = await drill(folder, RestoreTarget(url, server.password), listen=events.append, gate=Gate())
    assert result.left_out == ()
    assert result.verdict is Verdict.PASSED
    assert "role authenticated" in result.shims
    assert "function auth.uid()" in result.shims


async def test_a_row_that_the_archive_lost_is_found(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    folder = await backed_up(ledger, root)
    [rows] = [
        path for path in (folder / "archive").glob("*.gz") if b"account 7\t" in gzip.decompress(path.read_bytes())
    ]
    lines = gzip.decompress(rows.read_bytes()).splitlines(keepends=True)
    rows.write_bytes(gzip.compress(b"".join(line for line in lines if b"account 7\t" not in line)))
    write_manifest(folder, Manifest.load(folder))
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.DIFFERS


async def test_a_foreign_key_that_the_rows_break_is_named_because_no_restore_could_make_it(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    await ledger.execute("""
        SET session_replication_role = replica;
        INSERT INTO public."Entries; odd" (account, kind, amount) VALUES (gen_random_uuid(), 'debit', 1);
    """)
    folder = await backed_up(ledger, root)
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert all(table.equal for table in result.tables)
    [left] = result.left_out
    assert left.entry.startswith("FK CONSTRAINT Entries; odd")
    assert not left.outside
    assert result.verdict is Verdict.DIFFERS


async def test_tables_whose_names_begin_alike_are_not_taken_for_each_other(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    await ledger.execute("""
        CREATE TABLE public.a AS SELECT 1 AS id; ALTER TABLE public.a ADD PRIMARY KEY (id);
        CREATE TABLE public."a b" AS SELECT 2 AS id; ALTER TABLE public."a b" ADD PRIMARY KEY (id);
    """)
    folder = await backed_up(ledger, root)
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED
    assert result.left_out == ()


async def test_rows_that_are_older_than_a_check_and_break_it_come_back(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    await ledger.execute("ALTER TABLE public.accounts ADD CHECK (title <> 'account 3') NOT VALID")
    folder = await backed_up(ledger, root)
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    assert result.verdict is Verdict.PASSED
    assert result.left_out == ()


async def test_a_table_whose_key_its_rows_break_is_not_kept_as_proved(
    ledger: Ledger, root: Path, source_server: SharedServer, target_server: SharedServer, events: Events
) -> None:
    database = ledger.url.database
    await ledger.execute("CREATE TABLE public.twice (id int CONSTRAINT only_once PRIMARY KEY)")
    administrator = await connect_as_superuser(source_server.server, database)
    # What a damaged index lets happen.
    for ready in (False, True):
        await administrator.execute(
            f"UPDATE pg_index SET indisready = {ready} WHERE indexrelid = 'public.only_once'::regclass"
        )
        if not ready:
            await administrator.execute("INSERT INTO public.twice VALUES (1), (1)")
    await administrator.close()
    folder = await backed_up(ledger, root)
    kept: list[RestoredTable] = []
    target = restore_target(target_server)
    result = await drill(folder, target, listen=events.append, gate=Gate(), note=kept.append)
    assert [left.entry.split(" ")[0] for left in result.left_out] == ["CONSTRAINT"]
    assert result.verdict is Verdict.DIFFERS
    again = await drill(folder, target, listen=events.append, gate=Gate(), proved=kept)
    assert again.verdict is Verdict.DIFFERS


def test_what_was_proved_of_a_backup_whose_checksums_are_gone_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / CHECKSUMS).write_text("made up\n", encoding="utf-8")
    table = TableContent(schema="public", name="a", rows=1, digest="d", bytes=1)
    note = proved_note(tmp_path, [RestoredTable(table, "d", 1)])
    assert proved_tables(tmp_path, note) == (RestoredTable(table, "d", 1),)
    (tmp_path / CHECKSUMS).unlink()
    assert proved_tables(tmp_path, note) == ()


async def test_a_pause_ends_the_drill_and_drops_its_database(
    ledger: Ledger, root: Path, target_server: SharedServer, no_child_left: Callable[[], list[str]]
) -> None:
    folder = await backed_up(ledger, root)
    gate = Gate()

    def pause_at_the_restore(event: Event) -> None:
        if isinstance(event, Ran):
            gate.request()

    with pytest.raises(PauseRequested):
        await drill(folder, restore_target(target_server), listen=pause_at_the_restore, gate=gate)
    assert no_child_left() == []
    connection = await connect_as_superuser(target_server.server)
    left = await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'drill%'")
    await connection.close()
    assert left == 0


UNUSUAL = """
CREATE SCHEMA "Odd ""schema";
CREATE TABLE "Odd ""schema"."TABLE DATA" (n int);
INSERT INTO "Odd ""schema"."TABLE DATA" VALUES (1), (NULL);
CREATE TABLE public.parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.part_one PARTITION OF public.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.parts SELECT n, '2026-06-01' FROM generate_series(1, 5) AS n;
ALTER TABLE public.parts ADD PRIMARY KEY (id, at);
CREATE INDEX ON public.parts (at);
CREATE TABLE public.of_parts (id int, at date, FOREIGN KEY (id, at) REFERENCES public.parts);
INSERT INTO public.of_parts TABLE public.parts;
CREATE TABLE public.parent (a int);
CREATE TABLE public.child (b int) INHERITS (public.parent);
INSERT INTO public.parent VALUES (1);
INSERT INTO public.child VALUES (2, 3);
CREATE TABLE public.nothing ();
INSERT INTO public.nothing DEFAULT VALUES;
CREATE TABLE public."new
line" (t text);
INSERT INTO public."new
line" VALUES (E'a\\tb\\n\\\\.');
CREATE MATERIALIZED VIEW public.totals AS SELECT count(*) AS n FROM public.parts;
CREATE VIEW public.people AS SELECT id FROM auth.users;
"""


async def test_unusual_tables_and_schemas_come_back_and_what_leans_on_outside_is_named(
    ledger: Ledger, root: Path, target_server: SharedServer, events: Events
) -> None:
    await ledger.execute(UNUSUAL)
    folder = await backed_up(ledger, root, schemas=("public", 'Odd "schema'), plain=True)
    rows = {table.label: table.rows for table in Manifest.load(folder).tables}
    assert rows["public.parent"] == 1
    assert rows["public.part_one"] == 5
    assert rows['Odd "schema.TABLE DATA'] == 2
    result = await drill(folder, restore_target(target_server), listen=events.append, gate=Gate())
    # Whether the view also has grants of its own to be left out is up to the project's default privileges.
    left = [(each.entry, each.outside) for each in result.left_out]
    assert left[0] == ("VIEW people postgres", True)
    assert left[1:] in ([], [("ACL TABLE people postgres", True)])
    assert result.verdict is Verdict.PASSED
