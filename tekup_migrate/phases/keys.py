"""The API keys of the target, and what stands in the apps' env files, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import url_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Remark, Verdict

if TYPE_CHECKING:
    from tekup_migrate.credentials.key_trial import KeyTrial
    from tekup_migrate.credentials.keys import Slot
    from tekup_migrate.credentials.secret import Secret

_WORDS = {"anon_key": "anon key", "service_key": "service key"}
"""What a plan calls a key in an env file, and what it is called everywhere else."""


def needs_keys(plan: Plan) -> bool:
    """Whether the plan's env files ask for any of the target's keys."""
    return bool(_needed(plan))


def _needed(plan: Plan) -> tuple[str, ...]:
    wanted = {value for app in plan.apps.values() for file in app.env_files for value in file.rewrite.values()}
    return tuple(kind for word, kind in _WORDS.items() if word in wanted)


def _slots(context: Context) -> tuple[Slot, ...]:
    from tekup_migrate.credentials.keys import Slot

    return tuple(Slot(kind) for kind in _needed(context.plan))


class CheckKeys(Observation):
    """Reads the target's keys, tries them, and looks at the keys that the apps have now."""

    why = (
        "A key says which project and role it is for. Swapped, expired or of another project, it would break an app"
        " at the cut-over, or hand everybody the whole database; here nothing is written yet."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        self.project = plan.project_id("target")
        title = f"Check the keys of {plan.target.title}"
        super().__init__(id=f"{phase.id}.keys.{self.project}", phase=phase.id, title=title)

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the keys, where they are tried, and the files."""
        slots = " and ".join(_needed(context.plan))
        return (
            f"The {slots}: whose they are, their role and expiry; each is tried once at"
            f" {context.api_address(self.project)}",
            "The keys in the apps' env files as they are now",
        )

    def target(self, context: Context) -> str:
        """Return the project."""
        project = context.project(self.project)
        return f"{project.title} · {project.ref}"

    async def apply(self, context: Context) -> None:
        """Get the keys; one that the project refuses is asked for again."""
        from tekup_migrate.credentials.key_trial import Tried

        for slot in _slots(context):
            while (trial := await self._tried(context, slot)).tried is Tried.REFUSED:
                context.secrets.doubt(self.project, slot, f"The {slot} is not valid: {trial.said}.")

    async def verify(self, context: Context) -> Evidence:
        """Try every key, and read every env file."""
        from tekup_migrate.credentials.key_trial import Tried

        slots = _slots(context)
        trials = {slot: await self._tried(context, slot) for slot in slots}
        keys = {slot: await context.secrets.key(self.project, slot) for slot in slots}
        facts = [f"{slot}: {told(keys[slot])}; {trial.said}" for slot, trial in trials.items()]
        return Evidence(
            verdict=Verdict.DIFFERS if any(t.tried is Tried.REFUSED for t in trials.values()) else Verdict.PASSED,
            summary=", ".join(f"{slot} {trial.tried}" for slot, trial in trials.items()),
            facts=(*facts, *_found_now(context)),
        )

    async def _tried(self, context: Context, slot: Slot) -> KeyTrial:
        from tekup_migrate.credentials.key_trial import KeyTrial, Tried, try_key

        key = await context.secrets.key(self.project, slot)
        if self._is_elsewhere(context):
            return KeyTrial(Tried.UNTRIED, "not tried: its database is on this machine, and no api_url names its API")
        return await try_key(context.api_address(self.project), key)

    def _is_elsewhere(self, context: Context) -> bool:
        """Whether the address made from the ref cannot be that of the project's API."""
        known = self.project in context.api_addresses or context.project(self.project).api_url
        return not known and url_of(context, self.project).is_loopback


def told(key: Secret) -> str:
    """Return what a key says about itself, fit for painting."""
    from tekup_migrate.credentials.keys import read_key

    reading = read_key(key)
    parts = [key.mask, str(reading.kind)]
    parts += [f"of {reading.ref}"] if reading.ref else []
    parts += [f"valid until {reading.expires:%Y-%m-%d}"] if reading.expires else []
    return " ".join(parts)


def key_remarks(values: Mapping[str, str | None], ref: str, where: str) -> tuple[Remark, ...]:
    """Return what is wrong with the keys that a file will hold, as warnings for a preview.

    Args:
        values: all keys and values of the file.
        ref: the project that the file is for.
        where: how to name the file.
    """
    from tekup_migrate.credentials.keys import check_values

    return tuple(Remark(f"{where}: {found.message}", warning=True) for found in check_values(values, ref))


def _found_now(context: Context) -> tuple[str, ...]:
    """Return what is wrong with the keys that the apps' env files hold now, whichever project they are for."""
    from tekup_migrate.credentials.keys import check_values
    from tekup_migrate.envfiles.errors import EnvFileError
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values, real_path

    lines: list[str] = []
    for app in context.plan.apps.values():
        for file in app.env_files:
            path = app.directory / file.path
            try:
                values = read_values(read_bytes(real_path(path)))
            except EnvFileError as error:
                lines.append(f"{app.title}: {error.happened}")
                continue
            lines += [f"{app.title}, {file.path} now: {found.message}" for found in check_values(values, None)]
    return tuple(lines) or ("The keys in the apps' env files fit their names and belong together",)
