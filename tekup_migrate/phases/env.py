"""Rewriting an app's env files so that it uses the target project; shared by ``move`` and ``adopt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.parts import REWRITE, Choices
from tekup_migrate.phases.env_evidence import documented_lines, env_evidence
from tekup_migrate.phases.env_survey import Survey, survey
from tekup_migrate.phases.env_undo import EnvUndo, note_text, opened
from tekup_migrate.phases.keys import key_remarks
from tekup_migrate.phases.ownership import note_cut_over
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.steps import Action, Context, Danger, Evidence, Preview, Remark, Undo

if TYPE_CHECKING:
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.envfiles.places import FilePlaces, Place
    from tekup_migrate.envfiles.rewrite import EnvRewrite


class RewriteEnv(EnvUndo):
    """Points an app's env files at the target project, and whatever else in its repository names the source.

    The keys that the plan names are rewritten unless the operator skips one. Whatever else was found is offered:
    it is left and documented unless the operator has it rewritten.
    """

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The files' former bytes, kept sealed in this run, are put back."
    why = (
        "This is the cut-over: from its next start the app reads and writes the target. Only the values of the keys"
        " that the plan names are replaced; every other byte of the files stays. What else names the old project is"
        " listed, and changed only where you say so."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Point the env files of {plan.apps[phase.app].title} at the target"
        super().__init__(id=f"{phase.id}.{self.name}", phase=phase.id, title=title)
        self.app = phase.app
        self._behind: dict[str, tuple[Secret, ...]] = {}

    async def preview(self, context: Context) -> Preview:
        """Show every line that can change, secrets masked, and what is chosen for each."""
        from tekup_migrate.envfiles.diff import places_change
        from tekup_migrate.envfiles.untouched import keyed_digest

        found = await self._survey(context)
        files = [file for file in found.files if file.parts]
        self._behind = {place.id: _behind(context, place) for file in files for place in file.places}
        rewrites = [(file, self._rewrite(context, file)) for file in files]
        changed = [file for file in files if any(place.planned and place.edits for place in file.places)]
        app, target = context.plan.apps[self.app], context.plan.target
        nothing = () if changed or found.without else (Remark("Every file of the plan points at the target already."),)
        return Preview(
            title=f"Rewrite {_files(len(changed))} in {app.title}",
            target=f"{app.directory} → {target.title} · {target.ref}",
            verb="Write what is accepted" if files else "Write nothing",
            undo=self._undo_note(context),
            actions=(
                *_remarks(found, files),
                *(remark for file, rewrite in rewrites for remark in _key_remarks(context, file, rewrite)),
                *nothing,
                *(places_change(file, context.redactor) for file in files),
            ),
            parts=tuple(part for file in files for part in file.parts),
            world=tuple(f"{file.name} {keyed_digest(file.before)}" for file in files),
        ).choosing(self._chosen(context))

    def settle(self, context: Context, choices: Choices) -> None:
        """Note what was chosen; what is not in ``choices`` keeps what was chosen before."""
        context.memory.remember(self._choices_key, msgspec.json.encode({**self._chosen(context), **choices}))

    def behind(self, part: str) -> tuple[Secret, ...]:
        """Return the values behind a part's masks, as last previewed."""
        return self._behind.get(part, ())

    def _undo_note(self, context: Context) -> str:
        if context.secrets.lasting:
            return self.undo_note
        return f"{self.undo_note} In this sitting only: no keyring or sealed file keeps the key to them."

    async def apply(self, context: Context) -> None:
        """Keep the former bytes sealed, then write what was accepted, one file after the other."""
        from tekup_migrate.envfiles.rewrite import write

        found = await self._survey(context)
        rewrites = [(file, self._rewrite(context, file)) for file in found.files]
        if context.plan.moves_of(self.app) and self._points_at_target(context, found):
            # From here on the app may write to the target: its rows are no longer only our copy.
            note_cut_over(context, self.app)
        for file, rewrite in rewrites:
            if not rewrite.changed:
                continue
            await self._keep(context, file, rewrite)
            write(rewrite)
            context.ran("file", f"rewrote {', '.join(rewrite.changed)}", str(rewrite.path))
        lines = documented_lines(await self._survey(context), self._chosen(context))
        context.memory.remember(self._documented_key, msgspec.json.encode(lines))

    async def verify(self, context: Context) -> Evidence:
        """Read the files as the app will, compare with what is wanted, and say what was left as it is."""
        formers = await opened(context, self._sealed(context))
        return env_evidence(context, await self._survey(context), self._chosen(context), formers)

    def _points_at_target(self, context: Context, found: Survey) -> bool:
        """Whether at least one key that the plan names will hold, or holds, the target's value."""
        chosen = self._chosen(context)
        named = [place for file in found.files for place in file.places if place.planned]
        return any(not place.edits or chosen.get(place.id, place.choice) == REWRITE for place in named)

    async def _keep(self, context: Context, file: FilePlaces, rewrite: EnvRewrite) -> None:
        """Keep what the file is now, sealed, on disk before it is written; of two rewrites, the first one's."""
        from tekup_migrate.envfiles.former import FormerFile as Former

        seal = await context.secrets.seal()
        former = Former.of(file.path, rewrite)
        if not former.env:
            await note_text(context, self.id, self.app, file.name)
        earlier = context.memory.recall(self._key(file.name))
        if earlier is not None:
            first = await opened(context, (earlier,))
            if not first:
                # Never over the first one's former bytes, though only a key that is not here opens them.
                return
            former = former.following(first[0])
        names = self._names(context)
        if file.name not in names:
            context.memory.remember(self._names_key, msgspec.json.encode((*names, file.name)))
        context.memory.remember(self._key(file.name), former.sealed(seal))

    def _rewrite(self, context: Context, file: FilePlaces) -> EnvRewrite:
        chosen = self._chosen(context)
        return file.rewrite({p.id for p in file.places if chosen.get(p.id, p.choice) == REWRITE})

    async def _survey(self, context: Context) -> Survey:
        return await survey(context, context.plan.apps[self.app], await opened(context, self._sealed(context)))


def env_values(app: App, path: str) -> dict[str, str | None]:
    """Return an env file's keys and values as the app reads them.

    Raises:
        MigrationError: the file cannot be read.
    """
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values, real_path

    return read_values(read_bytes(real_path(app.directory / path)))


def _remarks(found: Survey, files: list[FilePlaces]) -> tuple[Action, ...]:
    warnings = [f"{file.name}: {warning}" for file in files for warning in file.warnings]
    lines = [*warnings, *found.missing, *(f"{each.name}: {each.why}" for each in found.passed_over)]
    return tuple(Remark(line, warning=True) for line in lines)


def _key_remarks(context: Context, file: FilePlaces, rewrite: EnvRewrite) -> tuple[Remark, ...]:
    """Say what is wrong with the keys of a planned file as it will be: another project's, swapped, expired."""
    if rewrite.values is None or not any(place.planned for place in file.places):
        return ()
    return key_remarks(rewrite.values, context.plan.target.ref, str(rewrite.path))


def _behind(context: Context, place: Place) -> tuple[Secret, ...]:
    """Return the values of a key as secrets named by what they are, for whoever has to look at one."""
    from tekup_migrate.credentials.patterns import named_key

    return tuple(named_key(value) for value in (place.former, place.value if place.edits else "") if value)


def _files(count: int) -> str:
    return f"{count} env file" if count == 1 else f"{count} env files"
