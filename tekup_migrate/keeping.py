"""What ``tekup-migrate credentials`` does: lists what is kept, never a value; imports, replaces, forgets, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from tekup_migrate.credentials.keys import Slot, read_slot
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import ConnectionFailedError, MigrationError
from tekup_migrate.held import HeldSecret, held_secrets
from tekup_migrate.phases.keys import told
from tekup_migrate.plan import Plan
from tekup_migrate.questions import Option, Question
from tekup_migrate.secret_source import KINDS, PASSWORD, refusal
from tekup_migrate.steps import Operator

GOOD, WRONG, UNKNOWN = "good", "wrong", "could not tell"
Write = Callable[[str], None]


class Kept(Struct, frozen=True, kw_only=True):
    """One secret of one project: whether it is kept, and what may be said of it."""

    project: str
    ref: str
    kind: str
    kept: bool
    says: str = ""


class Checked(Struct, frozen=True, kw_only=True):
    """What came of checking one kept secret: ``good``, ``wrong`` or ``could not tell``, and why."""

    project: str
    kind: str
    outcome: str
    says: str


class Finding(Struct, frozen=True, kw_only=True):
    """A secret in an env file, which project it belongs to, and what importing it would do."""

    project: str
    kind: str
    where: str
    secret: Secret
    wrong: str = ""


async def kept(plan: Plan, store: CredentialStore) -> tuple[Kept, ...]:
    """Return every secret of the plan's projects, kept or not."""
    found = []
    for name, project in plan.projects.items():
        for kind in KINDS:
            secret = await store.get(project.ref, kind)
            says = "" if secret is None else told(secret) if read_slot(kind) else secret.mask
            found.append(Kept(project=name, ref=project.ref, kind=kind, kept=secret is not None, says=says))
    return tuple(found)


def require_lasting(store: CredentialStore) -> None:
    """Refuse to keep anything in a store that ends with the command.

    Raises:
        MigrationError: it does.
    """
    if store.lasting:
        return
    raise MigrationError(
        "There is nothing that keeps secrets here",
        happened=f"They would be held in {store.name}, which ends with this command.",
        unchanged="Nothing was kept, replaced or forgotten.",
        remedy="Start a keyring, or choose the file sealed by a passphrase (in scripts: TEKUP_MIGRATE_PASSPHRASE).",
    )


def findings(plan: Plan) -> tuple[Finding, ...]:
    """Return the secrets of the plan's projects that the apps' env files hold, each once, with all its places.

    Raises:
        MigrationError: an env file cannot be read.
    """
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values, real_path

    places: dict[tuple[str, str, Secret], list[str]] = {}
    for app in plan.apps.values():
        for file in app.env_files:
            values = read_values(read_bytes(real_path(app.directory / file.path)))
            for held in held_secrets(values):
                owner = _owner(plan, held)
                places.setdefault((owner, held.kind, held.secret), []).append(
                    f"{held.name} in {app.title}, {file.path}"
                )
    return tuple(
        Finding(
            project=owner, kind=kind, where="; ".join(where), secret=secret, wrong=_wrong(plan, owner, kind, secret)
        )
        for (owner, kind, secret), where in places.items()
    )


def _owner(plan: Plan, held: HeldSecret) -> str:
    """Return the id of the project that a secret belongs to, or empty."""
    from tekup_migrate.postgres.dsn import parse_url

    for name, project in plan.projects.items():
        if held.ref and held.ref == project.ref:
            return name
        if held.address and held.address == parse_url(project.url).url.label:
            return name
    return ""


def _wrong(plan: Plan, owner: str, kind: str, secret: Secret) -> str:
    if not owner:
        return "It belongs to no project of the plan."
    return refusal(secret, kind, plan.projects[owner].ref)


async def bring_in(plan: Plan, store: CredentialStore, operator: Operator, write: Write, *, sure: bool) -> bool:
    """Show which secrets of the env files go where, ask, and keep them; return whether all that was found is kept.

    Where two values are found for the same secret, none is taken: which one is right cannot be seen.
    """
    found = findings(plan)
    taken: list[Finding] = []
    for finding in found:
        rivals = [f for f in found if (f.project, f.kind) == (finding.project, finding.kind) and not f.wrong]
        reason = finding.wrong or ("Another value was found for the same secret." if len(rivals) > 1 else "")
        ref = plan.projects[finding.project].ref if finding.project else ""
        there = await store.get(ref, finding.kind) if ref else None
        fate = reason or ("is kept already" if there == finding.secret else "replaces what is kept" if there else "new")
        if not reason and there != finding.secret:
            taken.append(finding)
        write(f"{'!' if reason else ' '} {finding.where} → {finding.kind} of {finding.project or 'nobody'}: {fate}")
        write(f"      {told(finding.secret) if read_slot(finding.kind) else finding.secret.mask}")
    if not found:
        write("The apps' env files hold no password and no key.")
    if taken and not sure and await operator.choose(_sure(len(taken), store)) != "keep":
        write("Nothing was kept.")
        return False
    for finding in taken:
        await store.set(plan.projects[finding.project].ref, finding.kind, finding.secret)
    write(f"{len(taken)} kept in {store.name}.")
    return not any(finding.wrong and finding.project for finding in found) and not _rivalling(found)


def _rivalling(found: tuple[Finding, ...]) -> bool:
    slots = [(finding.project, finding.kind) for finding in found if not finding.wrong]
    return len(slots) > len(set(slots))


def _sure(count: int, store: CredentialStore) -> Question:
    return Question(
        title=f"Keep {count} secrets?",
        text=f"They are kept in {store.name}; the env files stay as they are.",
        options=(
            Option("keep", "Keep them", "What is kept under the same names is replaced."),
            Option("no", "Keep none", "Nothing changes."),
        ),
        safe="no",
    )


async def replace(plan: Plan, store: CredentialStore, project_id: str, kind: str, secret: Secret) -> None:
    """Keep a secret in the place of any former one.

    Raises:
        MigrationError: it cannot be what it is given for.
    """
    from tekup_migrate.postgres.pasted import read_pasted

    project = plan.projects[project_id]
    given = secret
    if kind == PASSWORD and "://" in secret.reveal():
        # The whole URL was given: what is kept is its password.
        try:
            given = read_pasted(secret.reveal()).password or secret
        except ConnectionFailedError:
            given = secret
    why = refusal(given, kind, project.ref)
    if why or not given.reveal():
        raise MigrationError(
            f"This cannot be the {kind} of {project.title}",
            happened=why or "It is empty.",
            unchanged="What was kept is kept.",
            remedy="Copy it again from the project's settings in the dashboard.",
        )
    await store.set(project.ref, kind, Secret(given.reveal(), kind=kind, project=project.ref))


async def forget(plan: Plan, store: CredentialStore, project_id: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Remove secrets of a project from the store; return the kinds that were there."""
    ref = plan.projects[project_id].ref
    return tuple([kind for kind in kinds if await store.forget(ref, kind)])


async def check(plan: Plan, store: CredentialStore, urls: Mapping[str, str]) -> tuple[Checked, ...]:
    """Try every kept secret: a password by connecting, a key by what it says and by the project's own word.

    Args:
        plan: whose projects are meant.
        store: where the secrets are kept.
        urls: by project id, the URL to connect to.
    """
    done = []
    for name, project in plan.projects.items():
        for kind in KINDS:
            secret = await store.get(project.ref, kind)
            if secret is None:
                continue
            slot = read_slot(kind)
            outcome, says = (
                await _connects(urls[name], secret) if slot is None else await _fits(plan, name, slot, secret)
            )
            done.append(Checked(project=name, kind=kind, outcome=outcome, says=says))
    return tuple(done)


async def _connects(url: str, password: Secret) -> tuple[str, str]:
    from tekup_migrate.errors import PasswordRefusedError
    from tekup_migrate.postgres.connection import connect
    from tekup_migrate.postgres.dsn import parse_url

    try:
        connection = await connect(parse_url(url).url, password)
    except PasswordRefusedError as error:
        return WRONG, f"{error.title}. {error.happened}"
    except ConnectionFailedError as error:
        return UNKNOWN, f"{error.title}. {error.remedy}"
    connection.terminate()
    return GOOD, "connected"


async def _fits(plan: Plan, project_id: str, slot: Slot, key: Secret) -> tuple[str, str]:
    from tekup_migrate.credentials.key_trial import Tried, try_key
    from tekup_migrate.postgres.dsn import parse_url

    project = plan.projects[project_id]
    why = refusal(key, slot, project.ref)
    if why:
        return WRONG, why
    if not project.api_url and parse_url(project.url).url.is_loopback:
        return UNKNOWN, f"{told(key)}; its database is on this machine, and no api_url names its API"
    trial = await try_key(project.address, key)
    outcome = {Tried.ACCEPTED: GOOD, Tried.REFUSED: WRONG, Tried.UNTRIED: UNKNOWN}[trial.tried]
    return outcome, f"{told(key)}; {trial.said}"


def urls_of(plan: Plan, notes: Mapping[str, bytes], key: Callable[[str], str]) -> dict[str, str]:
    """Return each project's URL: the one noted in the latest run, else the plan's; ``key`` names a project's note."""
    return {
        name: notes[key(name)].decode() if key(name) in notes else project.url
        for name, project in plan.projects.items()
    }


def folder_of(state: Path) -> Path:
    """Make the directory that keeps a sealed file, for its owner alone."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return state
