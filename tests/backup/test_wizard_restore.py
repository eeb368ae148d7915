"""Restoring from the wizard: which backup, what of it, the loss shown and the name typed, and the run looked at again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from textual.widgets import Input

from screens.app import WizardApp
from screens.dialogs.choose import ChooseDialog
from screens.dialogs.confirm import ConfirmDialog
from screens.hub import HubScreen
from screens.recovery import chosen_restore
from tekup_migrate.backup.catalogue import finished_backups
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.events import Listener
from tekup_migrate.phases.restoring import RestoreTable
from tekup_migrate.plan import read_plan
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.questions import Question
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.report.document import to_markdown
from tekup_migrate.secret_source import PASSWORD, SecretSource
from tekup_migrate.sitting import Sitting, Surroundings, open_sitting
from tekup_migrate.steps import Operator
from tests.backup.conftest import Ledger
from tests.backup.test_drill import backed_up
from tests.screens.scenery import heard, shown, until
from tests.worlds import LIBRARY


def wizard_on(ledger: Ledger, state: Path) -> WizardApp:
    """A wizard over a plan whose source is the ledger."""
    plan = read_plan(LIBRARY)
    old = msgspec.structs.replace(plan.projects["old"], url=ledger.database.dsn)
    plan = msgspec.structs.replace(plan, projects={**plan.projects, "old": old})
    redactor = Redactor()

    @asynccontextmanager
    async def opening(operator: Operator, listen: Listener) -> AsyncIterator[Sitting]:
        def secrets(asked: Operator) -> SecretSource:
            given = {("old", PASSWORD): Secret(ledger.password.reveal(), kind=PASSWORD)}
            store = MemoryStore()
            return SecretSource(plan=plan, operator=asked, store=store, redactor=redactor, environment={}, given=given)

        surroundings = Surroundings(
            state=state, secrets=secrets, redactor=redactor, environment={}, throw_away=throw_away_server
        )
        async with open_sitting(plan, surroundings, operator, listen) as sitting:
            yield sitting

    return WizardApp(plan=plan, opening=opening, rehearsal=False)


async def test_the_wizard_restores_a_backup_after_showing_what_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    app = wizard_on(ledger, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        sitting = app.desk.conductor.sitting
        assert sitting is not None
        assert "No backup of this run" in app.desk.why_not("restore")
        await backed_up(ledger, sitting.context.folder / "backups", ref="oldlibraryoldlibrary")
        await ledger.execute("UPDATE public.accounts SET title = 'spoilt'")
        await app.action_perform("restore")
        for key in ("2", "3"):
            await until(pilot, lambda: isinstance(app.screen, ChooseDialog))
            await heard(pilot)
            await pilot.press(key)
            await pilot.pause(0.05)
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await heard(pilot)
        painted = shown(pilot)
        assert "public.accounts: 20 rows now are replaced by 20 rows of the backup" in painted
        assert "less than a minute old" in painted
        await pilot.press("R")
        assert isinstance(app.screen, ConfirmDialog)
        app.screen.query_one(Input).focus()
        await pilot.press(*"Old", "space", *"branch", "space", *"library", "enter", "R")
        await until(pilot, lambda: "done, and compared" in shown(pilot), seconds=30)
        [restored] = sitting.report().restores
        assert restored.verdict == "passed"
        assert "## Restored from backup" in to_markdown(sitting.report())
    connection = await ledger.database.connect()
    assert await connection.fetchval("SELECT count(DISTINCT title) FROM public.accounts") == 20
    await connection.close()


async def test_one_table_of_many_is_found_page_by_page_and_gets_a_name_that_fits(ledger: Ledger, root: Path) -> None:
    names = [f"notes_{n:02}" for n in range(17)] + ["å" * 30]
    await ledger.execute("".join(f'CREATE TABLE public."{name}" (id int);' for name in names))
    plan = read_plan(LIBRARY)
    folder = await backed_up(ledger, root, ref=plan.projects["old"].ref)
    answers = [str(folder), "one", "more", "more"]

    async def choose(question: Question) -> str:
        """Page to the last table, as whoever reads the labels does."""
        assert len(question.options) <= 9
        if answers:
            return answers.pop(0)
        return next(option.id for option in question.options if "ååå" in option.label)

    step = await chosen_restore(finished_backups(root), plan, choose, phase="setup")
    assert isinstance(step, RestoreTable)
    assert step.table == Relation("public", "å" * 30)
    assert re.search(r"å_of_\d{8}$", step.new_name)
    assert len(step.new_name.encode()) <= 63
