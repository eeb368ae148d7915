"""A move phase on two real databases of the test's own, step by step, with a scripted operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Event
from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases.move import move_steps
from tekup_migrate.plan import App, Move, Phase, Plan, Project, Sitting
from tekup_migrate.questions import Question
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Evidence, Preview, Remark, Sql, Step
from tests.scripted import NoSecrets, ScriptedOperator, make_context


class _Passwords(NoSecrets):
    """Knows both databases' passwords."""

    def __init__(self, **passwords: Secret) -> None:
        self._passwords = passwords

    async def password(self, project_id: str) -> Secret:
        return self._passwords[project_id]

    async def known(self, project_id: str, kind: str) -> Secret | None:
        return self._passwords[project_id]


def _project(database: SupabaseDatabase, role: str) -> Project:
    url = f"postgresql://{database.user}@{database.host}:{database.port}/{database.database}"
    return Project(title=role.title(), ref=role * 4, region="eu-north-1", role=role, url=url)


def plan_of(source: SupabaseDatabase, target: SupabaseDatabase, moves: tuple[Move, ...]) -> Plan:
    """A plan with one phase, which moves tables of the app ``app``."""
    phase = Phase(id="app", kind="move", title="Move", hours=(1.0, 2.0), app="app")
    return Plan(
        id="moving",
        title="Moving",
        branch="moving",
        projects={"old": _project(source, "source"), "new": _project(target, "target")},
        apps={"app": App(title="App", path="~/app")},
        moves=moves,
        phases=(phase,),
        sittings=(Sitting(title="One", hours=2.0, phases=("app",)),),
    )


@dataclass
class Moving:
    """The steps of one move phase, their context, and who answers."""

    plan: Plan
    source: SupabaseDatabase
    target: SupabaseDatabase
    folder: Path
    operator: ScriptedOperator = field(default_factory=ScriptedOperator)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        journal = Journal.open(self.folder / self.plan.id / JOURNAL)
        context = make_context(self.folder, journal, operator=self.operator, events=self.events)
        secrets = _Passwords(old=self.source.password, new=self.target.password)
        self.context = replace(context, plan=self.plan, secrets=secrets)
        self.steps = {step.id.partition(".")[2]: step for step in move_steps(self.plan, self.plan.phases[0])}

    def step(self, name: str) -> Step:
        """Return a step by the last part of its id."""
        return self.steps[name]

    async def go(self, *names: str) -> Evidence:
        """Preview, apply and verify steps; return the last one's evidence."""
        for name in names:
            step = self.steps[name]
            await step.preview(self.context)
            await step.apply(self.context)
        return await self.steps[names[-1]].verify(self.context)

    async def take_back(self, *names: str) -> None:
        """Preview the taking back of steps, take them back, and see that they are."""
        for name in names:
            step = self.steps[name]
            await step.preview_revert(self.context)
            await step.revert(self.context)
            seen = await step.verify_reverted(self.context)
            assert seen.verdict.value == "passed", seen
            step.forget(self.context)

    async def shown(self, name: str) -> str:
        """Return the text of a step's preview."""
        preview: Preview = await self.steps[name].preview(self.context)
        texts = [a.statement if isinstance(a, Sql) else a.text for a in preview.actions if isinstance(a, Sql | Remark)]
        return "\n".join(texts)


async def run(database: SupabaseDatabase, *statements: str) -> None:
    """Run SQL as the databases' owner, in one session."""
    connection = await database.connect()
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def value(database: SupabaseDatabase, sql: str) -> object:
    """Return one value."""
    connection = await database.connect()
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def pick(name: str) -> Callable[[Question], str]:
    """Return an answer that turns the pages until it finds an option whose label holds ``name``."""

    def answer(question: Question) -> str:
        found = [option.id for option in question.options if name in option.label]
        return found[0] if found else "more"

    return answer


class Picking:
    """Answers questions by their options' labels, in order; stays on a question until a label is found."""

    def __init__(self, moving: Moving, *labels: str) -> None:
        self.labels = list(labels)
        self.seen: list[Question] = []
        moving.operator.choose = self  # type: ignore[method-assign]

    async def __call__(self, question: Question) -> str:
        self.seen.append(question)
        if not self.labels:
            return question.safe
        chosen = pick(self.labels[0])(question)
        if chosen != "more":
            self.labels.pop(0)
        return chosen
