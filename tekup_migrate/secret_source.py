"""Where steps get secrets: held in memory, from the credential store, from the environment, from the operator."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping

from tekup_migrate.credentials.age import BACKUP_KEY, new_backup_key
from tekup_migrate.credentials.keys import Slot, check_key, is_placeholder, read_slot
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.seal import Seal
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.questions import SecretRequest
from tekup_migrate.steps import Operator

PASSWORD, SEAL_KEY = "password", "seal key"
KINDS: tuple[str, ...] = (PASSWORD, *Slot)
"""What is kept of a project."""
SEAL_VARIABLE = "TEKUP_MIGRATE_SEAL_KEY"
_SECRET_VARIABLE = re.compile(r"TEKUP_MIGRATE_\w*(?:PASSWORD|KEY|PASSPHRASE)")
_TAKEN: dict[str, str] = {}
_TRIES = 20  # an operator that gives the same wrong secret for ever is a script

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
        self._doubts: dict[tuple[str, str], str] = {}
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

    @property
    def kept_in(self) -> str:
        """What to call the place where secrets are kept."""
        return self._store.name

    def doubt(self, project_id: str, kind: str, reason: str) -> None:
        """Use a secret no more; see ``Secrets``. What is kept stays kept until another one is given."""
        self._held.pop((project_id, kind), None)
        self._doubts[project_id, kind] = reason

    async def replace(self, project_id: str, kind: str, secret: Secret) -> None:
        """Hold and keep a secret; see ``Secrets``."""
        ref = self._plan.projects[project_id].ref
        owned = Secret(secret.reveal(), kind=kind, project=ref)
        self._redactor.hold(owned)
        # Held before it is kept: where the keyring has gone away meanwhile, that is said, and nobody types it again.
        self._held[project_id, kind] = owned
        self._doubts.pop((project_id, kind), None)
        if await self._store.get(ref, kind) != owned:
            await self._store.set(ref, kind, owned)

    async def kept(self, project_id: str) -> tuple[str, ...]:
        """Return the kinds that stay kept; see ``Secrets``."""
        if not self._store.lasting:
            return ()
        ref = self._plan.projects[project_id].ref
        return tuple([kind for kind in KINDS if await self._store.get(ref, kind) is not None])

    async def forget(self, project_id: str) -> None:
        """Remove a project's secrets from the store; see ``Secrets``."""
        for kind in KINDS:
            await self._store.forget(self._plan.projects[project_id].ref, kind)

    async def keep_again(self, project_id: str) -> None:
        """Keep what is still held; see ``Secrets``."""
        for kind in KINDS:
            held = self._held.get((project_id, kind))
            if held is not None:
                await self._store.set(self._plan.projects[project_id].ref, kind, held)

    async def backup_key(self, project_id: str, *, make: bool = False) -> Secret | None:
        """Return the age identity of a project's sealed backups: held, stored, from the environment, or made now."""
        held = self._held.get((project_id, BACKUP_KEY)) or await self._find_backup_key(project_id)
        if held is None and make:
            held = await self._make_backup_key(project_id)
        if held is not None:
            self._held[project_id, BACKUP_KEY] = held
            self._redactor.hold(held)
        return held

    async def _find_backup_key(self, project_id: str) -> Secret | None:
        ref = self._plan.projects[project_id].ref
        stored = await self._store.get(ref, BACKUP_KEY)
        value = self._environment.get(variable(project_id, BACKUP_KEY), "").strip()
        return stored or (Secret(value, kind=BACKUP_KEY, project=ref) if value else None)

    async def _make_backup_key(self, project_id: str) -> Secret:
        project = self._plan.projects[project_id]
        if not self._store.lasting:
            raise MigrationError(
                "A sealed backup needs a place for its key",
                happened=f"Secrets are kept in {self._store.name}: nobody could open the backup of {project.title}.",
                unchanged="Nothing was dumped.",
                remedy="Use a keyring or a sealed file of secrets; or make a key with `age-keygen`, keep it safe, and"
                f" set {variable(project_id, BACKUP_KEY)} to it; or back up without --encrypt.",
            )
        made = new_backup_key(project.ref)
        await self._store.set(project.ref, BACKUP_KEY, made)
        return made

    async def _secret(self, project_id: str, kind: str, why: str) -> Secret:
        held = self._held.get((project_id, kind))
        if held is None:
            held = await self._find(project_id, kind, why)
            self._held[project_id, kind] = held
        return held

    async def known(self, project_id: str, kind: str) -> Secret | None:
        """Return what is known without asking; see ``Secrets``."""
        held = self._held.get((project_id, kind))
        if held is None:
            held, _ = await self._look(project_id, kind)
            if held is not None:
                self._held[project_id, kind] = held
        return held

    async def _find(self, project_id: str, kind: str, why: str) -> Secret:
        """Return what is kept or in the environment when nothing is wrong with it, or else what the operator gives."""
        found, trouble = await self._look(project_id, kind)
        return found if found is not None else await self._ask(project_id, kind, why, trouble)

    async def _look(self, project_id: str, kind: str) -> tuple[Secret | None, str]:
        """Look in the store and in the environment; where nothing right is there, say what was wrong."""
        ref = self._plan.projects[project_id].ref
        trouble = self._doubts.get((project_id, kind), "")
        if trouble:
            return None, trouble
        value = self._environment.get(variable(project_id, kind))
        given = Secret(value, kind=kind, project=ref) if value else None
        for candidate in (await self._store.get(ref, kind), given):
            if candidate is not None:
                self._redactor.hold(candidate)
                trouble = refusal(candidate, kind, ref)
                if not trouble:
                    return candidate, ""
        return None, trouble

    async def _ask(self, project_id: str, kind: str, why: str, trouble: str) -> Secret:
        """Ask until what is given can be right, or nothing is given."""
        project = self._plan.projects[project_id]
        for _ in range(_TRIES):
            request = SecretRequest(
                kind=kind,
                project=f"{project.title} · {project.ref}",
                why=f"It is needed {why}.",
                kept_in=self._store.name,
                trouble=trouble,
            )
            given = await self._operator.secret(request)
            if given is None:
                break
            self._redactor.hold(given)
            trouble = refusal(given, kind, project.ref)
            if not trouble:
                await self.replace(project_id, kind, given)
                return self._held[project_id, kind]
        raise MigrationError(
            f"The {kind} of {project.title} is not known",
            happened=trouble or f"It is needed {why}, and is neither stored nor given.",
            unchanged="Nothing was connected to or written.",
            remedy=f"Give it when you are asked, or set {variable(project_id, kind)} in the environment.",
        )


def refusal(secret: Secret, kind: str, ref: str) -> str:
    """Return why a secret cannot be what it is given for, seen without a network; empty when nothing is wrong."""
    slot = read_slot(kind)
    if slot is None:
        value = secret.reveal()
        stands_for_one = value[:1] in ("[", "<", ".", "…") and is_placeholder(value)
        return "This only stands for a password that has to be filled in." if stands_for_one else ""
    return " ".join(found.message for found in check_key(secret, slot, ref))


def taken_from(environment: MutableMapping[str, str], taken: MutableMapping[str, str] = _TAKEN) -> Mapping[str, str]:
    """Take the secrets out of an environment, so that no child inherits them, and return all that were ever taken."""
    for name in [name for name in environment if _SECRET_VARIABLE.fullmatch(name)]:
        taken[name] = environment.pop(name)
    return taken


def variable(project_id: str, kind: str) -> str:
    """Return the environment variable that a secret is read from where nobody can be asked."""
    return f"TEKUP_MIGRATE_{project_id}_{kind}".upper().replace(" ", "_")
