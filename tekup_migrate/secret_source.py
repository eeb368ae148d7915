"""Where steps get secrets: held in memory, from the credential store, from the environment, from the operator."""

from __future__ import annotations

from collections.abc import Mapping

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.seal import Seal
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.steps import Operator, SecretRequest

PASSWORD, SEAL_KEY = "password", "seal key"
SEAL_VARIABLE = "TEKUP_MIGRATE_SEAL_KEY"

Given = Mapping[tuple[str, str], Secret]
"""Secrets by project id and kind that are there from the start."""


class SecretSource:
    """The ``Secrets`` of one sitting; everything it hands out is held by the redactor first.

    The order is: held already, the store, an environment variable, the operator. What the operator gives is
    kept in the store.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        operator: Operator,
        store: CredentialStore,
        redactor: Redactor,
        environment: Mapping[str, str],
        given: Given,
    ) -> None:
        self._plan = plan
        self._operator = operator
        self._store = store
        self._redactor = redactor
        self._environment = environment
        self._held: dict[tuple[str, str], Secret] = dict(given)
        redactor.hold(*given.values())

    async def password(self, project_id: str) -> Secret:
        """Return the database password of a project; see ``Secrets``."""
        return await self._secret(project_id, PASSWORD, "to connect to its database")

    async def key(self, project_id: str, kind: str) -> Secret:
        """Return an API key of a project; see ``Secrets``."""
        return await self._secret(project_id, kind, "to write it into the apps' env files")

    @property
    def lasting(self) -> bool:
        """Whether the store keeps the seal's key for later sittings."""
        return self._store.lasting

    async def seal(self) -> Seal:
        """Return the seal; its key is in the store or the environment, or made at first use and kept in the store.

        Where the store lasts only as long as the process, nothing sealed can be opened in a later one: give the
        key in ``TEKUP_MIGRATE_SEAL_KEY`` there.
        """
        held = self._held.get(("", SEAL_KEY))
        if held is None:
            held = await self._store.get(self._plan.id, SEAL_KEY)
        value = self._environment.get(SEAL_VARIABLE)
        if held is None and value:
            held = Secret(value, kind=SEAL_KEY, project=self._plan.id)
        if held is None:
            held = Seal.new_key(self._plan.id)
            await self._store.set(self._plan.id, SEAL_KEY, held)
        self._held["", SEAL_KEY] = held
        self._redactor.hold(held)
        return Seal(held)

    async def _secret(self, project_id: str, kind: str, why: str) -> Secret:
        held = self._held.get((project_id, kind))
        if held is None:
            held = await self._find(project_id, kind, why)
            self._redactor.hold(held)
            self._held[project_id, kind] = held
        return held

    async def _find(self, project_id: str, kind: str, why: str) -> Secret:
        project = self._plan.projects[project_id]
        stored = await self._store.get(project.ref, kind)
        if stored is not None:
            return stored
        value = self._environment.get(variable(project_id, kind))
        if value:
            return Secret(value, kind=kind, project=project.ref)
        request = SecretRequest(
            kind=kind,
            project=f"{project.title} · {project.ref}",
            why=f"It is needed {why}.",
            kept_in=self._store.name,
        )
        given = await self._operator.secret(request)
        if given is None:
            raise MigrationError(
                f"The {kind} of {project.title} is not known",
                happened=f"It is needed {why}, and is neither stored nor given.",
                unchanged="Nothing was connected to or written.",
                remedy=f"Give it when you are asked, or set {variable(project_id, kind)} in the environment.",
            )
        secret = Secret(given.reveal(), kind=kind, project=project.ref)
        await self._store.set(project.ref, kind, secret)
        return secret


def variable(project_id: str, kind: str) -> str:
    """Return the environment variable that a secret is read from where nobody can be asked."""
    return f"TEKUP_MIGRATE_{project_id}_{kind}".upper().replace(" ", "_")
