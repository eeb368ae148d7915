"""The last phase forgets the source's credentials where they are kept, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.events import Event, Ran
from tekup_migrate.journal import Journal
from tekup_migrate.phases.forgetting import ForgetSource
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.secret_source import PASSWORD, SecretSource
from tekup_migrate.steps import Danger, Verdict
from tests.scripted import ScriptedOperator, make_context


class LastingStore(MemoryStore):
    """A store whose secrets would be there in the next sitting."""

    name = "a lasting store"
    lasting = True


async def test_what_is_kept_of_the_source_is_named_forgotten_recorded_and_kept_again(tmp_path: Path) -> None:
    plan = read_plan(BUILT_IN)
    store, events = LastingStore(), list[Event]()
    for ref in (plan.source.ref, plan.target.ref):
        await store.set(ref, PASSWORD, Secret("p@ss", kind=PASSWORD))
    secrets = SecretSource(
        plan=plan, operator=ScriptedOperator(), store=store, redactor=Redactor(), environment={}, given={}
    )
    journal = Journal.open(tmp_path / "journal.sqlite3")
    try:
        context = make_context(tmp_path, journal, plan=plan, secrets=secrets, events=events)
        step = ForgetSource(plan, plan.phases[-1])
        assert step.danger is Danger.CAREFUL
        await secrets.password(plan.project_id("source"))
        preview = await step.preview(context)
        assert preview.destroys == ("password, the entry in a lasting store",)
        assert (await step.verify(context)).verdict is Verdict.DIFFERS
        await step.apply(context)
        await step.apply(context)
        assert (await step.verify(context)).verdict is Verdict.PASSED
        assert await store.get(plan.source.ref, PASSWORD) is None
        assert await store.get(plan.target.ref, PASSWORD) is not None
        assert [event.text for event in events if isinstance(event, Ran)] == [
            f"forgot the password of {plan.source.ref}"
        ]
        await step.revert(context)
        assert (await step.verify_reverted(context)).verdict is Verdict.PASSED
        assert await store.get(plan.source.ref, PASSWORD) is not None
    finally:
        journal.close()
