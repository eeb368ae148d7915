"""What is asked for a run's backups: sealed for the whole run, readable by the target, and a drill that may be skipped."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tekup_migrate.backup import trial
from tekup_migrate.backup.child import clean_environment
from tekup_migrate.backup.dump import backup_project
from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.backup.proved import proved_note, proved_tables
from tekup_migrate.backup.restore import changes_since
from tekup_migrate.backup.trial import RestoredTable
from tekup_migrate.credentials.age import BACKUP_KEY, new_backup_key
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.errors import JournalError, MigrationError, PauseRequested, WorldChangedError
from tekup_migrate.events import Event, Progress, Ran
from tekup_migrate.gate import Gate
from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases import steps_of
from tekup_migrate.phases.backing_up import BackUp, Drill
from tekup_migrate.phases.covering import backup_note, cover_of
from tekup_migrate.phases.restoring import RestoreBackup
from tekup_migrate.plan import BUILT_IN, Backups, Plan, read_plan
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.secret_source import SecretSource
from tekup_migrate.sitting import Surroundings, open_sitting
from tekup_migrate.steps import Context, SkippedError, Verdict
from tests.backup.conftest import LEDGER, Ledger
from tests.backup.test_drill import backed_up
from tests.scripted import NoSecrets, ScriptedOperator, make_context
from tests.servers import SharedServer
from tests.worlds import LIBRARY


async def options_of(plan: Plan, state: Path) -> Backups:
    """Open a sitting, and return how its run makes backups."""
    surroundings = Surroundings(
        state=state,
        secrets=lambda operator: NoSecrets(),
        redactor=Redactor(),
        environment={},
        throw_away=throw_away_server,
    )
    async with open_sitting(plan, surroundings, ScriptedOperator(), lambda event: None) as sitting:
        assert sitting.context.plan is sitting.plan
        return sitting.plan.backups


async def test_a_run_that_was_sealed_once_stays_sealed_when_it_is_resumed(tmp_path: Path) -> None:
    plan = read_plan(BUILT_IN)
    assert await options_of(plan, tmp_path) == Backups()
    assert await options_of(msgspec.structs.replace(plan, backups=Backups(encrypt=True)), tmp_path) == Backups(
        encrypt=True
    )
    assert await options_of(plan, tmp_path) == Backups(encrypt=True)
    with pytest.raises(JournalError, match="plan changed"):
        await options_of(msgspec.structs.replace(plan, title="another"), tmp_path)


def secrets_with(*, lasting: bool, environment: dict[str, str]) -> tuple[SecretSource, MemoryStore]:
    store = MemoryStore()
    store.lasting = lasting
    plan = read_plan(BUILT_IN)
    source = SecretSource(
        plan=plan, operator=ScriptedOperator(), store=store, redactor=Redactor(), environment=environment, given={}
    )
    return source, store


async def test_a_backup_key_is_made_once_kept_and_never_made_where_it_would_be_lost() -> None:
    lasting, store = secrets_with(lasting=True, environment={})
    assert await lasting.backup_key("renos") is None
    key = await lasting.backup_key("renos", make=True)
    assert key is not None
    assert await store.get("oaevagdgrasfppbrxbey", BACKUP_KEY) == key
    assert await lasting.backup_key("renos", make=True) == key
    fleeting, _ = secrets_with(lasting=False, environment={})
    with pytest.raises(MigrationError, match="needs a place for its key"):
        await fleeting.backup_key("renos", make=True)
    given = new_backup_key("renos")
    fleeting, _ = secrets_with(lasting=False, environment={"TEKUP_MIGRATE_RENOS_BACKUP_KEY": given.reveal()})
    assert await fleeting.backup_key("renos", make=True) == given


async def test_the_plain_file_of_a_newer_source_can_be_restored_by_an_older_target(
    target_server: SharedServer, ledger: Ledger, root: Path
) -> None:
    await ledger.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    async with target_server.fresh_database() as database:
        newer = Ledger(database)
        await newer.execute(LEDGER)
        request = newer.request(plain=True, plain_for=16)
        folder, manifest = await backup_project(request, root, listen=lambda _: None, gate=Gate())
    assert manifest.server_version.startswith("18")
    settings = {"PGPASSWORD": ledger.password.reveal(), "PGDATABASE": ledger.url.database}
    where = [f"--host={ledger.url.host}", f"--port={ledger.url.port}", f"--username={ledger.url.user}"]
    done = subprocess.run(
        [embedded_program("psql", 18), "-X", "-q", "-v", "ON_ERROR_STOP=1", *where, "-f", folder / "plain.sql"],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    changes = await changes_since(folder, ledger.url, ledger.password, listen=lambda _: None, gate=Gate())
    assert all(change.equal for change in changes)


class Passwords(NoSecrets):
    """Holds the password of the one database that there is."""

    def __init__(self, password: Secret) -> None:
        self._password = password

    async def password(self, project_id: str) -> Secret:
        return self._password


async def test_the_schemas_that_the_plan_names_are_backed_up_beside_public_and_a_missing_one_is_refused(
    ledger: Ledger, tmp_path: Path
) -> None:
    await ledger.execute("CREATE SCHEMA extra; CREATE TABLE extra.notes AS SELECT generate_series(1, 7) AS n")
    await ledger.execute("CREATE SCHEMA other; CREATE TABLE other.notes AS SELECT 1 AS n")
    library = read_plan(LIBRARY)
    named = msgspec.structs.replace(library.projects["old"], url=ledger.database.dsn, backup_schemas=("extra",))
    plan = msgspec.structs.replace(library, projects={**library.projects, "old": named})
    journal = Journal.open(tmp_path / JOURNAL)
    context = make_context(tmp_path, journal, plan=plan, secrets=Passwords(ledger.password))
    step = BackUp(plan, plan.phases[0], "old")
    assert "--schema=extra" in str((await step.preview(context)).actions)
    await step.apply(context)
    folder = step.folder(context)
    assert folder is not None
    manifest = Manifest.load(folder)
    assert manifest.schemas == ("public", "extra")
    assert {table.label: table.rows for table in manifest.tables} == {
        "public.Entries; odd": 200,
        "public.accounts": 20,
        "extra.notes": 7,
    }
    drill = Drill(plan, plan.phases[0], "old")
    await drill.apply(context)
    assert (await drill.verify(context)).summary == "3 of 3 tables restored and equal, 227 rows"
    step.forget(context)
    await ledger.execute("DROP SCHEMA extra CASCADE")
    with pytest.raises(MigrationError, match="A schema to back up does not exist"):
        await step.apply(context)
    journal.close()


async def test_a_restore_is_given_up_where_rows_were_written_while_the_present_state_was_backed_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    library = read_plan(LIBRARY)
    old = msgspec.structs.replace(library.projects["old"], url=ledger.database.dsn)
    plan = msgspec.structs.replace(library, projects={**library.projects, "old": old})
    folder = await backed_up(ledger, tmp_path / "backups", ref=old.ref)
    await ledger.execute("UPDATE public.accounts SET title = 'later'")

    def write_once_it_is_backed_up(event: Event) -> None:
        if isinstance(event, Ran) and event.kind == "file":
            ledger.execute_now("UPDATE public.accounts SET title = 'latest'")

    journal = Journal.open(tmp_path / JOURNAL)
    context = make_context(tmp_path, journal, plan=plan, secrets=Passwords(ledger.password))
    step = RestoreBackup("old", folder, phase=plan.phases[0].id, title=old.title)
    with pytest.raises(WorldChangedError, match="Rows were written meanwhile"):
        await step.apply(dataclasses.replace(context, listen=write_once_it_is_backed_up))
    connection = await ledger.database.connect()
    assert await connection.fetchval("SELECT count(*) FROM public.accounts WHERE title = 'latest'") == 20
    await connection.close()
    journal.close()


@pytest.fixture
async def drilled(ledger: Ledger, tmp_path: Path) -> AsyncIterator[tuple[Context, ScriptedOperator, Path]]:
    """A run that has backed its target up, what answers in it, and the backup."""
    plan = read_plan(BUILT_IN)
    journal = Journal.open(tmp_path / JOURNAL)
    operator = ScriptedOperator()
    context = make_context(tmp_path, journal, operator=operator)
    folder = await backed_up(ledger, tmp_path / "backups", ref=plan.target.ref)
    context.memory.remember(backup_note("setup", "renos"), str(folder).encode())
    yield context, operator, folder
    journal.close()


def drill_step() -> Drill:
    plan = read_plan(BUILT_IN)
    return Drill(plan, plan.phases[0], "renos")


async def test_a_drill_is_asked_about_with_its_time_and_skipped_with_the_reason(
    drilled: tuple[Context, ScriptedOperator, Path],
) -> None:
    context, operator, _ = drilled
    operator.replies = [Reply(Answer.SKIP, "no time tonight")]
    step = drill_step()
    with pytest.raises(SkippedError) as caught:
        await step.apply(context)
    assert caught.value.reason == "no time tonight"
    assert "It takes about" in str(operator.previews[0][1].actions)
    assert (await step.verify(context)).verdict.value == "unverified"


async def test_a_paused_drill_goes_on_with_the_tables_that_are_not_proved_yet(
    drilled: tuple[Context, ScriptedOperator, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, operator, folder = drilled
    events: list[Event] = []

    def pause_at_the_first(event: Event) -> None:
        """Ask for a pause as soon as one table was compared."""
        if isinstance(event, Progress) and event.label == "comparison":
            context.gate.request()

    monkeypatch.setattr(trial, "_PORTION_BYTES", 0)
    monkeypatch.setattr(trial, "_AT_ONCE", 1)
    step = drill_step()
    with pytest.raises(PauseRequested):
        await step.apply(dataclasses.replace(context, listen=pause_at_the_first))
    assert (await step.verify(context)).verdict is Verdict.UNVERIFIED
    context.gate.open()
    await step.apply(dataclasses.replace(context, listen=events.append))
    assert "1 of 2 tables were proved before the pause" in str(operator.previews[-1][1].actions)
    assert [event.total for event in events if isinstance(event, Progress) and event.label == "comparison"] == [1]
    evidence = await step.verify(context)
    assert (evidence.verdict, evidence.summary) == (Verdict.PASSED, "2 of 2 tables restored and equal, 220 rows")
    assert "foreign keys were made on empty tables only" in evidence.facts[1]
    note = proved_note(
        folder, [RestoredTable(table, table.digest, table.rows) for table in Manifest.load(folder).tables]
    )
    assert len(proved_tables(folder, note)) == 2
    (folder / "SHA256SUMS").write_bytes(b"of another backup")
    assert proved_tables(folder, note) == ()


async def test_a_drill_without_room_for_the_rows_says_how_much_it_needs(
    drilled: tuple[Context, ScriptedOperator, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, _, _ = drilled
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=300_000_000))
    with pytest.raises(MigrationError, match="Not enough room on the disk to restore the backup on trial"):
        await drill_step().apply(context)


async def test_dialogs_name_the_newest_backup_of_the_project_and_the_command_that_restores_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    plan = read_plan(BUILT_IN)
    journal = Journal.open(tmp_path / JOURNAL)
    context = dataclasses.replace(make_context(tmp_path, journal), called_as=("tekup-migrate", "--state", "/a b"))
    assert cover_of(context, "renos") is None
    await backed_up(ledger, tmp_path / "backups", ref=plan.target.ref)
    newest = await backed_up(ledger, tmp_path / "backups", ref=plan.target.ref)
    await backed_up(ledger, tmp_path / "backups", ref=plan.source.ref)
    cover = cover_of(context, "renos")
    assert cover is not None
    assert cover.folder == str(newest)
    assert cover.age == "less than a minute old"
    assert cover.way_back == shlex.join(("tekup-migrate", "--state", "/a b", "restore", str(newest), "--to", "target"))
    journal.close()


@pytest.mark.parametrize(
    ("backup", "destroyer"), [("vault.backup.renos", "vault.copy"), ("rendetalje.backup.renos", "rendetalje.push")]
)
def test_the_target_is_backed_up_again_before_what_could_destroy_something_there(backup: str, destroyer: str) -> None:
    ids = [step.id for step in steps_of(read_plan(BUILT_IN))]
    assert ids.index(backup) < ids.index(destroyer)
