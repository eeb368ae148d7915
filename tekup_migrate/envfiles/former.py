"""The way back: an env file's former bytes, mode and symlink, kept sealed and restored exactly."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import msgspec

from tekup_migrate.credentials.durable import SUFFIX, sync_directory
from tekup_migrate.credentials.seal import Seal
from tekup_migrate.envfiles.errors import EnvFileError
from tekup_migrate.envfiles.rewrite import EnvRewrite, edited_meanwhile, read_bytes, real_path, replace_bytes
from tekup_migrate.errors import WorldChangedError


class _Kept(msgspec.Struct, frozen=True):
    """The sealed form of a ``FormerFile``."""

    path: str
    real: str
    link: str | None
    mode: int
    content: bytes
    written: bytes
    env: bool = True
    keys: tuple[str, ...] = ()
    stretches: tuple[int, ...] = ()


class Now(Enum):
    """How a file stands against what is known of it."""

    FORMER = "as it was before"
    OURS = "as it was rewritten"
    EDITED = "edited since"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FormerFile:
    """What an env file was before it was rewritten, and what it was rewritten to.

    Attributes:
        path: the file as the plan names it, possibly a symlink.
        real: the file itself.
        link: where the symlink points, as it is written; ``None`` when ``path`` is no symlink.
        mode: the permission bits of the real file.
        content: its former bytes.
        written: the bytes that the rewrite put there, to notice that somebody edited the file since.
        env: whether it is an env file.
        keys: the keys whose values the rewrite changed.
        stretches: the comments, or the lines of another text, that it changed, counted from 0.
    """

    path: Path
    real: Path
    link: str | None
    mode: int
    content: bytes = field(repr=False)
    written: bytes = field(repr=False)
    env: bool = True
    keys: tuple[str, ...] = ()
    stretches: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path, rewrite: EnvRewrite) -> FormerFile:
        """Note what is needed to undo ``rewrite``; taken before it is written.

        Raises:
            EnvFileError: the file is gone.
        """
        real = real_path(path)
        link = str(path.readlink()) if path.is_symlink() else None
        mode = stat.S_IMODE(real.stat().st_mode)
        return cls(
            path=path.absolute(),
            real=real,
            link=link,
            mode=mode,
            content=rewrite.before,
            written=rewrite.after,
            env=rewrite.values is not None,
            keys=rewrite.keys,
            stretches=rewrite.stretches,
        )

    def following(self, earlier: FormerFile) -> FormerFile:
        """Return what undoes this rewrite and an earlier one of the same file at once."""
        if self.content not in (earlier.written, earlier.content):
            return self
        return replace(
            earlier,
            written=self.written,
            keys=tuple(dict.fromkeys((*earlier.keys, *self.keys))),
            stretches=tuple(sorted({*earlier.stretches, *self.stretches})),
        )

    def sealed(self, seal: Seal) -> bytes:
        """Return this as bytes that only the holder of the seal's key can read."""
        kept = _Kept(
            path=str(self.path),
            real=str(self.real),
            link=self.link,
            mode=self.mode,
            content=self.content,
            written=self.written,
            env=self.env,
            keys=self.keys,
            stretches=self.stretches,
        )
        return seal.close(msgspec.msgpack.encode(kept))

    @classmethod
    def unsealed(cls, sealed: bytes, seal: Seal) -> FormerFile:
        """Read what ``sealed`` made.

        Raises:
            SealBrokenError: the key is another one, or the bytes were tampered with.
        """
        kept = msgspec.msgpack.decode(seal.open(sealed), type=_Kept)
        fields = msgspec.structs.asdict(kept)
        return cls(**{**fields, "path": Path(kept.path), "real": Path(kept.real)})


def standing(former: FormerFile) -> tuple[Now, bytes]:
    """Return how the file stands now, and what it holds; reads only.

    Raises:
        WorldChangedError: the symlink leads elsewhere now.
        EnvFileError: the file cannot be read.
    """
    _refuse_other_link(former)
    places = [place for place in dict.fromkeys((former.path, former.real)) if place.exists()]
    if not places:
        return Now.GONE, b""
    contents = [read_bytes(place) for place in places]
    for current in contents:
        if current not in (former.content, former.written):
            return Now.EDITED, current
    return (Now.FORMER if contents[-1] == former.content else Now.OURS), contents[-1]


def restore(former: FormerFile, *, over_edits: bool = False) -> bool:
    """Put back the former bytes, mode and symlink; return whether there was anything to do.

    May be repeated after a crash at any point.

    Args:
        former: what the file was.
        over_edits: put it back although somebody edited or deleted the file since: the operator said so.

    Raises:
        WorldChangedError: the file or the symlink is neither what it was nor what the rewrite made it;
            names the keys that differ, overwrites nothing.
        EnvFileError: the file cannot be read or written.
    """
    now, current = standing(former)
    if not over_edits and now in (Now.EDITED, Now.GONE):
        raise edited_meanwhile(former.path, former.written, current)
    relink = former.link is not None and not former.path.is_symlink()
    if not relink and former.real.exists() and _is_former(former):
        return False
    replace_bytes(former.real, former.content, mode=former.mode)
    if relink and former.link is not None:
        _put_link(former.path, former.link)
    return True


def _is_former(former: FormerFile) -> bool:
    mode = stat.S_IMODE(former.real.stat().st_mode)
    return mode == former.mode and read_bytes(former.real) == former.content


def _refuse_other_link(former: FormerFile) -> None:
    if not former.path.is_symlink() or str(former.path.readlink()) == former.link:
        return
    raise WorldChangedError(
        f"{former.path.name} was edited meanwhile",
        happened=f"{former.path} is now a symlink to another file.",
        unchanged="The file was left as it is now.",
        remedy="Look at where the symlink points, put it right, and try again.",
    )


def _put_link(path: Path, target: str) -> None:
    temporary = path.with_name(path.name + SUFFIX)
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise EnvFileError(
            f"The symlink {path.name} cannot be put back",
            happened=f"{path}: {error.strerror or error}.",
            unchanged="The file that the symlink pointed to holds its former content again.",
            remedy=f"Make {path} a symlink to {target} by hand.",
        ) from error
