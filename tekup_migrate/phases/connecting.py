"""The step that connects to a project: asks for a URL and a password for as long as what is known does not connect."""

from __future__ import annotations

import time

from tekup_migrate.phases.access import agree, connected, label_of, url_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Verdict

_RIGHTS = """
    SELECT pg_catalog.current_setting('server_version') AS version, rolname, rolsuper, rolbypassrls,
           rolsuper OR rolreplication AS replicates, rolcreaterole, rolcreatedb,
           pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS makes_schemas,
           pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS makes_tables
    FROM pg_catalog.pg_roles LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'public'
    WHERE rolname = current_user
"""


class Connect(Observation):
    """Connects to a project and says what the role may do there."""

    why = "A wrong region, role or pooler is found here, before anything depends on it."

    def __init__(self, plan: Plan, phase: Phase, project: str) -> None:
        title = f"Connect to {plan.projects[project].title}"
        super().__init__(id=f"{phase.id}.connect.{project}", phase=phase.id, title=title)
        self.project = project

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the address, what it is, and every mistake that can be seen in it."""
        from tekup_migrate.postgres.pasted import read_pasted

        project = context.project(self.project)
        reading = read_pasted(str(url_of(context, self.project)), ref=project.ref, region=project.region)
        return (
            f"Server version, and what the role may do, at {label_of(context, self.project)}",
            "; ".join(f"{name} {part}" for name, part in reading.parts),
            *(f"{finding.message} {finding.remedy}" for finding in reading.findings),
        )

    def target(self, context: Context) -> str:
        """Return the database's label."""
        return label_of(context, self.project)

    async def apply(self, context: Context) -> None:
        """Find a URL and a password that connect, with the operator's help where that is needed."""
        await agree(context, self.project)

    async def verify(self, context: Context) -> Evidence:
        """Connect, measure the time to answer, and read the role's rights."""
        async with connected(context, self.project) as connection:
            started = time.perf_counter()
            row = await connection.fetchrow(_RIGHTS)
            milliseconds = (time.perf_counter() - started) * 1000
        assert row is not None  # a session always has a current user
        sees_all = row["rolsuper"] or row["rolbypassrls"]
        role = row["rolname"]
        return Evidence(
            verdict=Verdict.PASSED if sees_all else Verdict.DIFFERS,
            summary=f"Postgres {row['version']} as {role}, {milliseconds:.0f} ms",
            facts=(
                f"{role} sees rows behind row-level security: {_yes(sees_all)}",
                f"{role} may create schemas in the database: {_yes(row['makes_schemas'])}",
                f"{role} may create tables in the schema public: {_yes(row['makes_tables'])}",
                f"{role} has REPLICATION: {_yes(row['replicates'])}; CREATEROLE: {_yes(row['rolcreaterole'])};"
                f" CREATEDB: {_yes(row['rolcreatedb'])}",
                *self.looks_at(context)[1:],
            ),
            figures=(Figure("round trip", round(milliseconds, 1), "ms"),),
        )


def _yes(holds: object) -> str:
    return "yes" if holds else "no"
