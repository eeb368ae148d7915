"""Connecting with the operator's help: corrected until it works, kept for the run, and never asked for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.errors import MigrationError, PasswordRefusedError
from tekup_migrate.events import Event, Ran
from tekup_migrate.journal import Journal
from tekup_migrate.phases.access import connected, side_of, url_of
from tekup_migrate.phases.connecting import Connect
from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tekup_migrate.questions import ConnectionAnswer
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.secret_source import PASSWORD, SecretSource
from tekup_migrate.steps import Context, Verdict
from tests.scripted import ScriptedOperator, make_context

SOURCE = "paris"


@dataclass
class Opened:
    """A context on a plan whose source is not where the plan says, and what it was asked and told."""

    context: Context
    plan: Plan
    operator: ScriptedOperator
    store: MemoryStore
    redactor: Redactor
    events: list[Event] = field(default_factory=list)

    @property
    def step(self) -> Connect:
        return Connect(self.plan, self.plan.phases[0], SOURCE)


@contextmanager
def opened(folder: Path, url: str, *answers: ConnectionAnswer, password: str = "") -> Iterator[Opened]:
    plan = read_plan(BUILT_IN)
    source = msgspec.structs.replace(plan.projects[SOURCE], url=url)
    plan = msgspec.structs.replace(plan, projects={**plan.projects, SOURCE: source})
    operator, store, redactor = ScriptedOperator(connections=list(answers)), MemoryStore(), Redactor()
    if password:
        asyncio.run(store.set(source.ref, PASSWORD, Secret(password, kind=PASSWORD)))
    secrets = SecretSource(plan=plan, operator=operator, store=store, redactor=redactor, environment={}, given={})
    journal = Journal.open(folder / "journal.sqlite3")
    events: list[Event] = []
    try:
        context = make_context(folder, journal, operator=operator, plan=plan, secrets=secrets, events=events)
        yield Opened(context, plan, operator, store, redactor, events)
    finally:
        journal.close()


def answer(text: str, password: Secret | None = None) -> ConnectionAnswer:
    return ConnectionAnswer(text=text, password=password)


NOWHERE = "postgresql://postgres@127.0.0.1:9/postgres"


def right(database: SupabaseDatabase) -> str:
    return f"postgresql://{database.user}@{database.host}:{database.port}/{database.database}"


def test_a_url_is_corrected_until_it_connects_and_then_used_by_every_later_step(
    source_database: SupabaseDatabase, tmp_path: Path
) -> None:
    good, value = right(source_database), source_database.password.reveal()
    wrong = Secret("not the password", kind=PASSWORD)
    answers = (
        answer("correct horse"),
        answer(
            good.replace("postgres@", "postgres.abcdefghijklmnopqrst@").replace(
                source_database.host, "db.x.supabase.co"
            )
        ),
        answer(good),
        answer(good, wrong),
        answer(f'psql "{good.replace("@", f":{value}@", 1)}"'),
    )
    with opened(tmp_path, NOWHERE, *answers) as it:
        asyncio.run(it.step.apply(it.context))
        troubles = [request.trouble.title if request.trouble else "" for request in it.operator.requests]
        assert troubles == [
            "",
            "This is not a connection URL",
            "This cannot be the right connection",
            "The password is missing",
            "The password was refused",
        ]
        assert it.operator.requests[1].text == "correct horse", "what was typed is not lost"
        assert it.operator.requests[4].password == wrong
        assert it.context.memory.recall("url.paris") == good.encode()
        assert asyncio.run(it.store.get(it.plan.source.ref, PASSWORD)) == source_database.password

        asked = len(it.operator.asked)
        evidence = asyncio.run(it.step.verify(it.context))
        assert evidence.verdict is Verdict.PASSED
        assert str(url_of(it.context, SOURCE)) == good

        async def use_a_side() -> None:
            async with side_of(it.context, SOURCE) as side, side.connection() as connection:
                assert await connection.fetchval("SELECT current_database()") == source_database.database

        asyncio.run(use_a_side())
        assert len(it.operator.asked) == asked
        (told,) = [event.text for event in it.events if isinstance(event, Ran)]
        assert told.startswith("From now on this run connects as postgres to 127.0.0.1:")
        assert value not in str(it.operator.requests) + str(it.events) + str(evidence)
        for secret in (wrong.reveal(), value):
            assert secret not in it.context.redact(f"x {secret} y"), "whatever was given is redacted from then on"


def test_what_is_known_and_connects_is_not_asked_for(source_database: SupabaseDatabase, tmp_path: Path) -> None:
    with opened(tmp_path, right(source_database), password=source_database.password.reveal()) as it:
        asyncio.run(it.step.apply(it.context))
        evidence = asyncio.run(it.step.verify(it.context))
        assert it.operator.asked == []
        assert it.context.memory.recall("url.paris") is None
        facts = "\n".join(evidence.facts)
    for part in ("behind row-level security: yes", "REPLICATION: yes", "schema public", "other Postgres"):
        assert part in facts
    assert evidence.figures[0].unit == "ms"


def test_a_later_step_asks_too_when_the_connection_is_gone(source_database: SupabaseDatabase, tmp_path: Path) -> None:
    good = right(source_database)
    with opened(tmp_path, NOWHERE, answer(good, source_database.password), password="x") as it:

        async def look() -> object:
            async with connected(it.context, SOURCE) as connection:
                return await connection.fetchval("SELECT 1")

        assert asyncio.run(look()) == 1
        (request,) = it.operator.requests
        assert request.trouble is not None
        assert request.trouble.title == "The connection was refused"
        assert (request.text, request.planned) == (NOWHERE, NOWHERE)


def test_whoever_has_nothing_else_to_try_gets_the_cause(source_database: SupabaseDatabase, tmp_path: Path) -> None:
    with opened(tmp_path, right(source_database), password="not the password") as it:
        with pytest.raises(PasswordRefusedError):
            asyncio.run(it.step.apply(it.context))
        kept = asyncio.run(it.store.get(it.plan.source.ref, PASSWORD))
        assert kept is not None
        assert kept.reveal() == "not the password", "what is kept is replaced only by what connected"
    with opened(tmp_path, right(source_database)) as it, pytest.raises(MigrationError, match="not known"):
        asyncio.run(it.step.apply(it.context))
