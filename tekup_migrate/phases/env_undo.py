"""Taking an env rewrite back: former bytes, mode and symlink; an edit made since is the operator's to decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.parts import Choices, Part
from tekup_migrate.phases.carrying_back import carry_back, since_line, written_since
from tekup_migrate.phases.made_tables import made_tables
from tekup_migrate.phases.ownership import forget_cut_over, is_cut_over
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.steps import Action, Context, Evidence, FileChange, Preview, Remark, Step

if TYPE_CHECKING:
    from tekup_migrate.envfiles.former import FormerFile

KEEP, FORMER, OURS = "keep it as it is now", "put the former bytes back", "put back only what was rewritten"


class EnvUndo(Step):
    """The half of an env step that takes it back. ``app`` is the id of the app whose files they are."""

    name = "env"
    app: str

    async def preview_revert(self, context: Context) -> Preview:
        """Show every line that changes back, secrets masked, and the rows that the app has written meanwhile.

        A file that somebody edited since is shown in its three versions, and stays as it is unless the operator
        chooses otherwise.
        """
        from tekup_migrate.envfiles.former import Now, standing
        from tekup_migrate.envfiles.untouched import keyed_digest

        changes: list[Action] = []
        parts: list[Part] = []
        world: list[str] = []
        for former in await self._formers(context):
            now, content = standing(former)
            world.append(f"{former.path} {now.value} {keyed_digest(content)}")
            if now in (Now.EDITED, Now.GONE):
                parts.append(_part(former, now))
                changes += _three_versions(context, former, now, content)
            elif now is Now.OURS:
                changes.append(_change(context, former, content, former.content))
        app = context.plan.apps[self.app]
        return Preview(
            title=f"Put back the files of {app.title}",
            target=str(app.directory),
            verb="Do as chosen" if parts else "Put them back" if changes else "Put nothing back",
            undo="Run the step again: the files are rewritten anew.",
            actions=(
                *[Remark(line, True) for line in await self._written_since(context)],
                *(changes or [Remark("Every file is as it was before: nothing is written.")]),
            ),
            parts=tuple(parts),
            world=(*world, (context.memory.recall(self._kept_key) or b"").decode()),
        ).choosing(self._chosen(context))

    async def revert(self, context: Context) -> None:
        """Settle the rows that the target received since, then put back what is to be put back."""
        from tekup_migrate.envfiles.former import standing

        formers = await self._formers(context)
        for former in formers:
            standing(former)
        if is_cut_over(context, self.app):
            await carry_back(context, planned_moves(context, self.app))
        for former in formers:
            self._put_back(context, former)

    async def verify_reverted(self, context: Context) -> Evidence:
        """Compare every file with its former bytes; one that was to stay edited is said to be."""
        from tekup_migrate.envfiles.former import Now, standing

        formers = await self._formers(context)
        chosen = self._chosen(context)
        wrong, facts = [], []
        for former in formers:
            now, content = standing(former)
            choice = chosen.get(_part_id(former), KEEP)
            if now is Now.FORMER or (now is Now.EDITED and choice == OURS and not _ours_left(former, content)):
                continue
            wrong.append(str(former.path))
            facts.append(f"{former.path} is {now.value}; chosen: {choice}")
        good = f"{_files(len(formers))} as before, byte for byte" if formers else "no file of it was rewritten"
        merged = sum(standing(former)[0] is Now.EDITED for former in formers)
        if merged:
            good = f"{_files(len(formers))} without what was rewritten; {merged} of them keep later edits"
        return reverted(not wrong, good, f"not as before: {', '.join(wrong)}", facts=tuple(facts))

    def forget(self, context: Context) -> None:
        """Forget the former bytes, the choices, and that the app was pointed at the target."""
        for name in self._names(context):
            context.memory.forget(self._key(name))
        for key in (self._names_key, self._choices_key, self._kept_key, self._documented_key, _texts_key(self.id)):
            context.memory.forget(key)
        forget_cut_over(context, self.app)

    def _put_back(self, context: Context, former: FormerFile) -> None:
        from tekup_migrate.envfiles.former import Now, restore, standing
        from tekup_migrate.envfiles.rewrite import replace_bytes
        from tekup_migrate.envfiles.untouched import put_back

        now, content = standing(former)
        if now in (Now.FORMER, Now.OURS):
            if restore(former):
                context.ran("file", "put back as it was", str(former.path))
            return
        choice = self._chosen(context).get(_part_id(former), KEEP)
        if choice == FORMER:
            restore(former, over_edits=True)
            context.ran("file", "put back as it was, over what was edited since", str(former.path))
        elif choice == OURS and now is Now.EDITED:
            merged, left = put_back(former, content)
            if merged != content:
                replace_bytes(former.real, merged)
            said = f"; changed since and left: {', '.join(left)}" if left else ""
            context.ran("file", f"put back only what was rewritten{said}", str(former.path))
        else:
            # Whoever tries again is asked again: what was agreed on is no longer what would be.
            context.memory.remember(self._kept_key, (context.memory.recall(self._kept_key) or b"") + b"+")
            context.ran("file", "kept as it is now", str(former.path))

    async def _written_since(self, context: Context) -> tuple[str, ...]:
        if not is_cut_over(context, self.app):
            return ()
        moves = planned_moves(context, self.app)
        lines = [since_line(outcome) for outcome in await written_since(context, moves)]
        lines += [f"{table.line}; they stay there" for table in await made_tables(context, moves) if table.rows]
        return tuple(line for line in lines if line)

    async def _formers(self, context: Context) -> tuple[FormerFile, ...]:
        from tekup_migrate.envfiles.former import FormerFile as Former

        sealed = self._sealed(context)
        if not sealed:
            return ()
        seal = await context.secrets.seal()
        return tuple(Former.unsealed(each, seal) for each in sealed)

    def _sealed(self, context: Context) -> tuple[bytes, ...]:
        return tuple(kept for name in self._names(context) if (kept := context.memory.recall(self._key(name))))

    def _names(self, context: Context) -> tuple[str, ...]:
        kept = context.memory.recall(self._names_key)
        return msgspec.json.decode(kept, type=tuple[str, ...]) if kept else ()

    def _chosen(self, context: Context) -> Choices:
        kept = context.memory.recall(self._choices_key)
        return msgspec.json.decode(kept, type=dict[str, str]) if kept else {}

    def _key(self, name: str) -> str:
        return f"{self.id}:{name}"

    @property
    def _names_key(self) -> str:
        return _names_key(self.id)

    @property
    def _documented_key(self) -> str:
        return _documented_key(self.id)

    @property
    def _kept_key(self) -> str:
        return f"{self.id}:kept"

    @property
    def _choices_key(self) -> str:
        return f"{self.id}:choices"


def documented_mentions(context: Context) -> tuple[str, ...]:
    """Return what still names the old project in the apps' repositories and was to be documented, a line each."""
    lines: list[str] = []
    for phase, app in _env_phases(context):
        kept = context.memory.recall(_documented_key(f"{phase}.{EnvUndo.name}"))
        title = context.plan.apps[app].title
        lines += [f"{title}: {line}" for line in msgspec.json.decode(kept or b"[]", type=list[str])]
    return tuple(lines)


class RewrittenText(msgspec.Struct, frozen=True):
    """A tracked file, no env file, that this run rewrote: what may be known of it without the key to its former bytes.

    Attributes:
        name: its path below the app's directory, with slashes.
        own_work: whether it held uncommitted work before.
    """

    name: str
    own_work: bool


def rewritten_texts(context: Context, app: str) -> tuple[RewrittenText, ...]:
    """Return the tracked files of an app, other than env files, that this run rewrote: they may be committed."""
    found: dict[str, RewrittenText] = {}
    for phase, owner in _env_phases(context):
        if owner == app:
            for text in _texts(context, f"{phase}.{EnvUndo.name}"):
                found.setdefault(text.name, text)
    return tuple(found.values())


async def note_text(context: Context, step: str, app: str, name: str) -> None:
    """Note that a step is about to rewrite a tracked file that is no env file; the first time counts."""
    from tekup_migrate.git.repository import Repository

    noted = _texts(context, step)
    if name in {text.name for text in noted}:
        return
    directory = context.plan.apps[app].directory
    repository = await Repository.open(directory)
    text = RewrittenText(name, own_work=bool(await repository.status([repository.name_of(directory, name)])))
    context.memory.remember(_texts_key(step), msgspec.json.encode((*noted, text)))


async def written_by_us(context: Context, app: str, name: str) -> bytes | None:
    """Return what this run's last rewrite made of a file; None where it made nothing, or its key is gone."""
    written = None
    for phase, owner in _env_phases(context):
        kept = context.memory.recall(f"{phase}.{EnvUndo.name}:{name}") if owner == app else None
        for former in await opened(context, (kept,) if kept else ()):
            written = former.written
    return written


def _texts(context: Context, step: str) -> tuple[RewrittenText, ...]:
    return msgspec.json.decode(context.memory.recall(_texts_key(step)) or b"[]", type=tuple[RewrittenText, ...])


async def opened(context: Context, sealed: Sequence[bytes]) -> tuple[FormerFile, ...]:
    """Open what the key of this sitting opens.

    A key that was held in memory is gone with its sitting, as the preview said. What it sealed is needed to take
    the files back, and not to go on: a run that was killed is resumed without it.

    Raises:
        SealBrokenError: the key is kept, and something is not what it sealed.
    """
    from tekup_migrate.credentials.seal import SealBrokenError
    from tekup_migrate.envfiles.former import FormerFile as Former

    if not sealed:
        return ()
    seal = await context.secrets.seal()
    found = []
    for each in sealed:
        try:
            found.append(Former.unsealed(each, seal))
        except SealBrokenError:
            if context.secrets.lasting:
                raise
    return tuple(found)


def _env_phases(context: Context) -> Iterator[tuple[str, str]]:
    return ((phase.id, phase.app) for phase in context.plan.phases if phase.app)


def _documented_key(step: str) -> str:
    return f"{step}:documented"


def _names_key(step: str) -> str:
    return f"{step}:files"


def _texts_key(step: str) -> str:
    return f"{step}:texts"


def _part_id(former: FormerFile) -> str:
    return f"undo {former.path}"


def _part(former: FormerFile, now: object) -> Part:
    from tekup_migrate.envfiles.former import Now

    options = (KEEP, FORMER) if now is Now.GONE else (KEEP, FORMER, OURS)
    name = former.path.name
    return Part(id=_part_id(former), group=str(former.path), label=name, options=options, choice=KEEP)


def _three_versions(context: Context, former: FormerFile, now: object, content: bytes) -> Iterator[Action]:
    """Show what the file was, what this run made of it, and what somebody made of that."""
    from tekup_migrate.envfiles.former import Now

    if now is Now.GONE:
        yield Remark(f"{former.path} was deleted since. It stays so unless you choose otherwise.", warning=True)
    else:
        yield Remark(f"{former.path} was edited since. It stays as it is now unless you choose otherwise.", True)
    yield Remark("From what it was before to what this run wrote:")
    yield _change(context, former, former.content, former.written, part=_part_id(former))
    if now is Now.EDITED:
        yield Remark("From what this run wrote to what it is now:")
        yield _change(context, former, former.written, content)


def _change(context: Context, former: FormerFile, before: bytes, after: bytes, *, part: str = "") -> FileChange:
    from tekup_migrate.envfiles.diff import diff_lines

    lines = diff_lines(before, after, redactor=context.redactor, env=former.env)
    if part:
        lines = tuple(msgspec.structs.replace(line, part=part) if line.kind != " " else line for line in lines)
    return FileChange(str(former.path), lines)


def _ours_left(former: FormerFile, content: bytes) -> bool:
    """Whether something that this run wrote could still be put back."""
    from tekup_migrate.envfiles.untouched import put_back

    return put_back(former, content)[0] != content


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
