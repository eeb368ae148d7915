"""What the placeholders of a sample world's templates stand for."""

from __future__ import annotations

from dataclasses import dataclass

from tekup_migrate.plan import Plan, Project
from tekup_migrate.rehearsal.keys import AppSecrets
from tekup_migrate.rehearsal.project import WorldProject


@dataclass(frozen=True, kw_only=True)
class Names:
    """Looks up placeholders; ``projects`` is by role, ``ports`` by app id."""

    rows: int
    plan: Plan
    projects: dict[str, WorldProject]
    ports: dict[str, int]
    secrets: AppSecrets

    def __call__(self, name: str) -> str:
        """Return a placeholder's value; raises ``KeyError`` for a name that means nothing."""
        head, _, rest = name.partition(".")
        if name == "rows":
            return str(self.rows)
        if head in self.projects:
            return self._of_project(head, rest)
        if head == "port":
            return str(self.ports[rest])
        if head == "secret" and rest:
            return self.secrets.named(rest).reveal()
        if head == "sealed" and "." in rest:
            return self.secrets.sealed(*rest.split(".", 1))
        raise KeyError(name)

    def _of_project(self, role: str, name: str) -> str:
        project = self.projects[role]
        written: Project = self.plan.source if role == "source" else self.plan.target
        values: dict[str, str] = {
            "ref": written.ref,
            "region": written.region,
            "url": written.address,
            "anon_key": project.keys.anon.reveal(),
            "service_key": project.keys.service.reveal(),
            "database_url": project.database.url.reveal(),
            "host": project.database.host,
            "port": str(project.database.port),
        }
        return values[name]
