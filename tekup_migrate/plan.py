"""The consolidation as data: projects, apps, moves, phases and sittings, read from a TOML file.

Everything that is particular to somebody's projects is in a plan file. A mistake in one is reported with
the file, the line or key path, what was found and what was expected.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import field

from tekup_migrate.errors import PlanError
from tekup_migrate.plan_floor import Floor, Part

PLANS = Path(__file__).parent / "plans"
BUILT_IN = PLANS / "tekup.toml"

PROJECT_ROLES = ("source", "target")
PHASE_KINDS = ("setup", "move", "adopt", "testing", "cleanup")
ENV_VALUES = ("url", "anon_key", "service_key", "database_url", "ref", "password")
ON_DELETE = ("", "cascade", "restrict", "set null", "set default", "no action")
_ID = re.compile(r"[a-z][a-z0-9_]*\Z")


class Project(Part, frozen=True):
    """One Supabase project.

    Attributes:
        title: how the wizard names it.
        ref: the project's reference, twenty letters on Supabase.
        region: the cloud region, such as ``eu-central-1``.
        role: ``source`` or ``target``.
        url: the connection URL without a password.
        api_url: the address of its API; derived from the ref where it is empty.
        backup_name: the backup folder's name before its date.
        backup_schemas: schemas to back up beside ``public``.
        disk_limit_gb: how large its database may become, which Postgres cannot tell; 0 where it is not known.
        memory_gb: the memory of its compute size, which Postgres cannot tell either; 0 where it is not known.
    """

    title: str
    ref: str
    region: str
    role: str
    url: str
    api_url: str = ""
    backup_name: str = ""
    backup_schemas: tuple[str, ...] = ()
    disk_limit_gb: float = 0.0
    memory_gb: float = 0.0

    @property
    def address(self) -> str:
        """The address of the project's API."""
        return self.api_url or f"https://{self.ref}.supabase.co"


class EnvFile(Part, frozen=True):
    """An env file of an app and the keys to rewrite: ``rewrite`` maps a key to what it shall hold.

    What a key can hold is one of ``url``, ``anon_key``, ``service_key``, ``database_url``, ``ref`` and
    ``password``, each of the target project.
    """

    path: str
    rewrite: dict[str, str] = field(default_factory=dict)


class Commands(Part, frozen=True):
    """An app's own commands, each as program and arguments; an empty one does not exist."""

    start: tuple[str, ...] = ()
    checks: tuple[tuple[str, ...], ...] = ()


class Probe(Part, frozen=True):
    """An address of a running app that must answer; ``rows`` asks for a non-empty list in its JSON."""

    title: str
    url: str
    rows: bool = False


class Prisma(Part, frozen=True):
    """The trait of an app whose tables Prisma manages."""

    schema: str
    generate: tuple[str, ...]
    push: tuple[str, ...]
    directory: str = "."


class Encryption(Part, frozen=True):
    """The trait of an app with encrypted columns: the env keys that must keep their values."""

    keys: tuple[str, ...]
    file: str = ".env"


class Writers(Part, frozen=True):
    """What writes to the app's tables, and how the operator stops and starts it."""

    application_names: tuple[str, ...] = ()
    stop: str = "Stop everything that writes to the tables: the app, its workers, scheduled jobs."
    address: str = ""


class App(Part, frozen=True):
    """One repository on disk with its env files, its tables and its commands.

    Attributes:
        title: how the wizard names it.
        path: the repository's directory; ``~`` is the home directory.
        port: the port the app listens on; probes name it as ``{port}``.
        env_files: env files relative to the repository.
        tables: tables it owns in the target's ``public`` schema; ``*`` at the end matches a prefix.
        commands: how it is started and checked.
        probes: addresses that must answer while it runs.
        readme: the document that gets the consolidation's section.
    """

    title: str
    path: str
    port: int = 0
    env_files: tuple[EnvFile, ...] = ()
    tables: tuple[str, ...] = ()
    commands: Commands = Commands()
    probes: tuple[Probe, ...] = ()
    readme: str = "README.md"
    prisma: Prisma | None = None
    encryption: Encryption | None = None
    writers: Writers = Writers()

    @property
    def directory(self) -> Path:
        """The repository's directory with ``~`` resolved."""
        return Path(self.path).expanduser()


class Policy(Part, frozen=True):
    """A row-level security policy that a moved table must have at the end."""

    name: str
    command: str
    roles: tuple[str, ...]
    using: str = ""
    check: str = ""


class Move(Part, frozen=True):
    """One table to move.

    Attributes:
        app: the id of the app it belongs to.
        sources: names to look for in the source's ``public`` schema, in order; the first that exists is moved.
        target: its name in the target's ``public`` schema.
        policies: policies it must have at the end, whatever the source has.
        floor: columns, keys, indexes and enum labels that it must have at the end, whatever the source has.
        may_be_absent: where the source has none of the names, make it empty from the floor without asking.
    """

    app: str
    sources: tuple[str, ...]
    target: str
    policies: tuple[Policy, ...] = ()
    floor: Floor = Floor()
    may_be_absent: bool = False


class Phase(Part, frozen=True):
    """One part of the plan; ``app`` names whose it is for the kinds ``move`` and ``adopt``."""

    id: str
    kind: str
    title: str
    hours: tuple[float, float]
    app: str = ""


class Sitting(Part, frozen=True):
    """One scheduled stretch of work and the phases it is meant for."""

    title: str
    hours: float
    phases: tuple[str, ...]


class Criterion(Part, frozen=True):
    """A success criterion and the steps whose evidence decides it."""

    id: str
    title: str
    steps: tuple[str, ...]


class Backups(Part, frozen=True):
    """How backups are made: ``encrypt`` seals them with age, ``plain`` adds a plain SQL file for people to read."""

    encrypt: bool = False
    plain: bool = False


class Plan(Part, frozen=True):
    """A consolidation.

    Attributes:
        id: fit for file, branch and ref names.
        title: how the wizard names it.
        branch: the git branch that the repositories' changes go to.
        decommission_days: days from the clean-up until the source may be deleted.
        backups: how backups are made.
    """

    id: str
    title: str
    branch: str
    projects: dict[str, Project]
    apps: dict[str, App]
    phases: tuple[Phase, ...]
    sittings: tuple[Sitting, ...]
    moves: tuple[Move, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    decommission_days: int = 30
    backups: Backups = Backups()

    def project_id(self, role: str) -> str:
        """Return the id of the project with a role; reading the plan proved that there is exactly one."""
        return next(name for name, project in self.projects.items() if project.role == role)

    @property
    def source(self) -> Project:
        """The project whose tables move."""
        return self.projects[self.project_id("source")]

    @property
    def target(self) -> Project:
        """The project that everything ends up in."""
        return self.projects[self.project_id("target")]

    def moves_of(self, app_id: str) -> tuple[Move, ...]:
        """Return an app's moves in the plan's order."""
        return tuple(move for move in self.moves if move.app == app_id)

    def sitting_of(self, phase_id: str) -> tuple[int, Sitting]:
        """Return the 1-based number and the sitting that a phase is scheduled in."""
        return next((n, s) for n, s in enumerate(self.sittings, 1) if phase_id in s.phases)


def read_plan(path: Path) -> Plan:
    """Read and check a plan file.

    Raises:
        PlanError: it is missing, unreadable, not TOML, or says something that makes no sense.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        _refuse(
            path,
            f"The file cannot be read: {_reason(error)}.",
            "Name a readable UTF-8 TOML file with --plan.",
        )
    except tomllib.TOMLDecodeError as error:
        _refuse(path, f"It is not valid TOML: {error}.", "Mend the file at that place.")
    try:
        plan = msgspec.convert(content, Plan, strict=True)
    except msgspec.ValidationError as error:
        found, _, where = str(error).partition(" - at ")
        key = where.strip("`").removeprefix("$.").removeprefix("$")
        place = f"at {key}" if key else "at the top level"
        _refuse(path, f"{place}: {found}.", "Mend that key; README.md describes every key of a plan.")
    _Checker(path, plan).check()
    return plan


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _refuse(path: Path, happened: str, remedy: str) -> NoReturn:
    raise PlanError(
        f"The plan {path.name} cannot be used",
        happened=f"{path}: {happened}",
        unchanged="Nothing was read from or written to any project.",
        remedy=remedy,
    )


class _Checker:
    """Checks what types cannot say: ids, references between parts, and one source and one target."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan

    def check(self) -> None:
        """Raise ``PlanError`` at the first thing that makes no sense."""
        self._check_ids()
        self._check_projects()
        self._check_apps()
        self._check_moves()
        self._check_phases()
        self._check_sittings()

    def _expect(self, holds: bool, key: str, found: object, expected: str) -> None:
        if not holds:
            _refuse(self.path, f"at {key}: found {found!r}, expected {expected}.", "Mend that key.")

    def _check_ids(self) -> None:
        named = [("id", self.plan.id), *((f"projects.{n}", n) for n in self.plan.projects)]
        named += [(f"apps.{n}", n) for n in self.plan.apps]
        named += [(f"phases[{i}].id", p.id) for i, p in enumerate(self.plan.phases)]
        named += [(f"criteria[{i}].id", c.id) for i, c in enumerate(self.plan.criteria)]
        for key, name in named:
            self._expect(_ID.match(name) is not None, key, name, "lower-case letters, digits and underscores")

    def _check_projects(self) -> None:
        for name, project in self.plan.projects.items():
            key = f"projects.{name}"
            self._expect(project.role in PROJECT_ROLES, f"{key}.role", project.role, "source or target")
            scheme, separator, rest = project.url.partition("://")
            known = separator == "://" and scheme in ("postgres", "postgresql")
            self._expect(known, f"{key}.url", scheme, "a postgresql:// URL")
            for limit, given in (("disk_limit_gb", project.disk_limit_gb), ("memory_gb", project.memory_gb)):
                self._expect(given >= 0, f"{key}.{limit}", given, "gigabytes, or 0 where it is not known")
            password = ":" in rest.rpartition("@")[0]
            self._expect(not password, f"{key}.url", "a URL with a password", "a URL without one; it is asked for")
        for role in PROJECT_ROLES:
            count = sum(project.role == role for project in self.plan.projects.values())
            self._expect(count == 1, "projects", f"{count} projects with the role {role}", "exactly one")

    def _check_apps(self) -> None:
        for name, app in self.plan.apps.items():
            self._expect(0 <= app.port <= 65535, f"apps.{name}.port", app.port, "a port number, or 0 for none")
            for index, file in enumerate(app.env_files):
                key = f"apps.{name}.env_files[{index}]"
                relative = not Path(file.path).is_absolute() and ".." not in Path(file.path).parts
                self._expect(relative, f"{key}.path", file.path, "a path inside the repository")
                for variable, value in file.rewrite.items():
                    expected = "one of " + ", ".join(ENV_VALUES)
                    self._expect(value in ENV_VALUES, f"{key}.rewrite.{variable}", value, expected)

    def _check_moves(self) -> None:
        targets: set[str] = set()
        for index, move in enumerate(self.plan.moves):
            key = f"moves[{index}]"
            self._expect(move.app in self.plan.apps, f"{key}.app", move.app, "the id of an app in this plan")
            self._expect(bool(move.sources), f"{key}.sources", [], "at least one table name")
            self._expect(move.target not in targets, f"{key}.target", move.target, "a name no other move has")
            targets.add(move.target)
            self._check_floor(f"{key}.floor", move.floor)
            whole = bool(move.floor.columns) or not move.may_be_absent
            self._expect(whole, f"{key}.floor.columns", [], "the columns to make it from, as it may be absent")

    def _check_floor(self, key: str, floor: Floor) -> None:
        for place, wanted in enumerate(floor.indexes):
            where = f"{key}.indexes[{place}].columns"
            self._expect(bool(wanted.columns), where, [], "at least one column or expression")
        names = [column.name for column in floor.columns]
        for name in floor.primary_key:
            self._expect(name in names, f"{key}.primary_key", name, f"a column of {key}.columns")
        for place, foreign in enumerate(floor.foreign_keys):
            where = f"{key}.foreign_keys[{place}]"
            many = len(foreign.columns) == len(foreign.keys) > 0
            self._expect(many, f"{where}.keys", list(foreign.keys), f"as many as {where}.columns, at least one")
            action = foreign.on_delete.lower()
            expected = "one of " + ", ".join(ON_DELETE[1:]) + ", or nothing"
            self._expect(action in ON_DELETE, f"{where}.on_delete", foreign.on_delete, expected)

    def _check_phases(self) -> None:
        ids = [phase.id for phase in self.plan.phases]
        self._expect(bool(ids), "phases", [], "at least one phase")
        for index, phase in enumerate(self.plan.phases):
            key = f"phases[{index}]"
            self._expect(ids.count(phase.id) == 1, f"{key}.id", phase.id, "an id no other phase has")
            kinds = "one of " + ", ".join(PHASE_KINDS)
            self._expect(phase.kind in PHASE_KINDS, f"{key}.kind", phase.kind, kinds)
            low, high = phase.hours
            self._expect(0 < low <= high, f"{key}.hours", [low, high], "two positive hours, the smaller first")
            if phase.kind in ("move", "adopt"):
                self._expect(phase.app in self.plan.apps, f"{key}.app", phase.app, "the id of an app in this plan")
            if phase.kind == "move":
                moves = self.plan.moves_of(phase.app)
                self._expect(bool(moves), "moves", f"no move of the app {phase.app}", "at least one table to move")

    def _check_sittings(self) -> None:
        scheduled = [phase for sitting in self.plan.sittings for phase in sitting.phases]
        for index, sitting in enumerate(self.plan.sittings):
            self._expect(sitting.hours > 0, f"sittings[{index}].hours", sitting.hours, "a positive number of hours")
        phases = [phase.id for phase in self.plan.phases]
        self._expect(scheduled == phases, "sittings", scheduled, f"every phase once, in order: {', '.join(phases)}")
