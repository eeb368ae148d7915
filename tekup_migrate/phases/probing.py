"""Looking before and after: whether the target can take the tables, and whether the API's roles see the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from tekup_migrate.phases.access import both_connected, label_of
from tekup_migrate.phases.index import column_name, expected_indexes
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.ownership import is_created
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.schema import created_in, transplant_of
from tekup_migrate.phases.tables import LookedUp, look_up, settled
from tekup_migrate.plan import Move, Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.preflight import Finding
    from tekup_migrate.postgres.probes import Outcome
    from tekup_migrate.postgres.quoting import Relation
    from tekup_migrate.postgres.vector_index import Recommendation


_MARKS = {True: "holds:", False: "does not hold:", None: "to weigh:"}


class Preflight(Observation):
    """Looks at both servers before anything is created."""

    why = "No room, too old an extension or a time limit is better found before the first table than in the middle."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.preflight", phase=phase.id, title="Check that the target can take the tables")
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name what is looked at."""
        return (
            "versions of both servers and of their extensions, connection limits, statement_timeout",
            "the room that tables, indexes and WAL need, the memory for vector indexes, and who else is connected",
        )

    def target(self, context: Context) -> str:
        """Return the target's label."""
        return label_of(context, context.plan.project_id("target"))

    async def verify(self, context: Context) -> Evidence:
        """Look."""
        from tekup_migrate.postgres.preflight import preflight

        limit = context.plan.target.disk_limit_gb
        async with both_connected(context) as (source, target):
            looked = await look_up(context, source, planned_moves(context, self.app))
            moves = looked.tables
            vectors = await expected_indexes(context, source, target, [move.source for move in moves])
            findings = await preflight(
                source,
                target,
                [move.source for move in moves],
                disk_limit_bytes=int(limit * 1e9) if limit else None,
                vector_index_bytes=sum(each.index_bytes for each in vectors),
            )
        findings += tuple(_build(each) for each in vectors)
        findings += _not_there(looked)
        bad = [finding for finding in findings if finding.holds is False]
        return Evidence(
            verdict=Verdict.DIFFERS if bad else Verdict.PASSED,
            summary=f"{len(findings) - len(bad)} of {len(findings)} checks hold"
            if not bad
            else "; ".join(finding.text for finding in bad),
            facts=tuple(f"{_MARKS[finding.holds]} {finding.subject}: {finding.text}" for finding in findings),
        )


def _not_there(looked: LookedUp) -> tuple[Finding, ...]:
    """Say which tables the source lacks, before anything is asked about them."""
    from tekup_migrate.postgres.preflight import Finding

    asked = "“Compare the schemas” asks whether it is to be made empty"
    return tuple(
        Finding(
            subject=f"table {move.target}",
            holds=None,
            text=f"the source has none of {', '.join(move.sources)}; "
            + (asked if move in looked.absent else "it is made empty from the plan"),
        )
        for move in (*looked.absent, *(move for move, _ in looked.made))
    )


def _build(expected: Recommendation) -> Finding:
    """Say what building a vector index will take, before a row is copied."""
    from tekup_migrate.postgres.preflight import Finding

    told = f"{expected.method.value}: {expected.build_bytes >> 20} MB for a quick build. {expected.memory}"
    return Finding(
        subject=f"building the index of {column_name(expected.column)}",
        holds=None if expected.warning and expected.fits else expected.fits,
        text=f"{told}. {expected.warning}".rstrip(". "),
    )


class Access(Observation):
    """Reads and writes the moved tables as the API's roles on both sides, and compares."""

    why = (
        "The role that moves the tables sees everything. What the app sees is decided by grants and policies, so the"
        " tables are tried as anon, authenticated and service_role, in transactions that are rolled back."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.access", phase=phase.id, title="Try the tables as the API's roles")
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Say what is tried."""
        return (
            "SELECT, INSERT, UPDATE and DELETE as anon, authenticated and service_role, each rolled back",
            "grants, columns' grants, policies' roles and comments of everything that moved, in both catalogs",
        )

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} and {label_of(context, plan.project_id('target'))}"

    async def verify(self, context: Context) -> Evidence:
        """Try, on both sides, with the same rows and users."""
        from tekup_migrate.postgres.probes import differences, probe, sample_rows, subjects

        found: list[str] = []
        intended: list[str] = []
        tried = 0
        async with both_connected(context) as (source, target):
            looked = settled(await look_up(context, source, planned_moves(context, self.app)))
            made = await _try_made(context, target, looked)
            for planned, move in looked.moved:
                rows = await sample_rows(source, move.source)
                users = await subjects(source, move.source)
                name = move.target.label
                here = await probe(source, move.source, name=name, rows=rows, users=users)
                there = await probe(target, move.target, name=name, rows=rows, users=users)
                tried += len(there)
                changed = await _raised_by_plan(source, move.source, planned)
                (intended if changed else found).extend(differences(here, there))
        found += made.wrong
        unlike, shared = await _unlike_grants(context, self.phase, self.app)
        told = f"; {len(intended)} differ as the plan's own policies want it" if intended else ""
        told += f"; {made.tries} more as the plan's policies say" if made.tries else ""
        alike = tried - len(found) - len(intended)
        return Evidence(
            verdict=Verdict.DIFFERS if found or unlike else Verdict.PASSED,
            summary=f"{len(found)} of {tried + made.tries} tries end differently,"
            f" {len(unlike)} grants or comments are not alike"
            if found or unlike
            else f"{alike} tries end alike{told}; grants, owners' rights and comments are alike",
            facts=(
                *found,
                *unlike,
                *made.lines,
                *(f"as the plan wants it: {line}" for line in intended),
                *(f"the target's own, left as it is: {line}" for line in shared),
            ),
            figures=(Figure("tries", tried + made.tries),),
        )


class _Made(NamedTuple):
    """What came of trying the tables that the source lacks: how often, what each role may, and what it may not."""

    tries: int
    lines: tuple[str, ...]
    wrong: tuple[str, ...]


async def _try_made(context: Context, target: asyncpg.Connection, looked: LookedUp) -> _Made:
    """Try tables that the source lacks; a row without values passes policies, and stays out or is rolled back."""
    from tekup_migrate.postgres.probes import probe, subjects, unlike_policies

    tries = 0
    lines: list[str] = []
    wrong: list[str] = []
    for planned, table in looked.made:
        name = table.target.label
        users = await subjects(target, table.target)
        there = await probe(target, table.target, name=name, rows=("{}",), users=users)
        tries += len(there)
        wrong += unlike_policies(planned.policies, there) if is_created(context, name) else ()
        lines += [f"{name} is not on the source; by the plan's policies alone:", *_what_each_may(there)]
    return _Made(tries, tuple(lines), tuple(wrong))


def _what_each_may(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line for each role: what of the four it may do."""
    allowed: dict[str, list[str]] = {}
    for outcome in outcomes:
        done = allowed.setdefault(outcome.role, [])
        if outcome.result not in ("refused", "no such role") and outcome.action not in done:
            done.append(outcome.action)
    return [f"  {role}: {', '.join(done) or 'nothing'}" for role, done in allowed.items()]


async def _unlike_grants(context: Context, phase: str, app: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare grants and comments: of what this run made, and of what it shares with others on the target."""
    from tekup_migrate.postgres.catalog.reading import read_catalog
    from tekup_migrate.postgres.comparison import access_differences

    items = (await transplant_of(context, app)).items
    made = created_in(context, phase)
    async with both_connected(context) as (source, target):
        here, there = await read_catalog(source), await read_catalog(target)
    return (
        access_differences(here, there, [item for item in items if item.target in made]),
        access_differences(here, there, [item for item in items if item.target not in made]),
    )


async def _raised_by_plan(source: asyncpg.Connection, table: Relation, move: Move) -> bool:
    """Whether the plan gives a table policies that it does not have at the source, so that access changes."""
    if not move.policies:
        return False
    row = await source.fetchrow(
        """
        SELECT c.relrowsecurity AS row_security,
               ARRAY(SELECT p.polname::text FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid) AS policies
        FROM pg_catalog.pg_class AS c WHERE c.oid = $1::text::regclass
        """,
        table.sql,
    )
    return row is None or not row["row_security"] or not {p.name for p in move.policies} <= set(row["policies"])
