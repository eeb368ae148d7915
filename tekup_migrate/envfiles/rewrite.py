"""Rewriting an env file: planned in memory, checked by python-dotenv, renamed into place."""

from __future__ import annotations

import io
import logging
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from tekup_migrate.credentials.durable import replace_file
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.document import EnvDocument
from tekup_migrate.envfiles.errors import EnvFileError, shown_key
from tekup_migrate.errors import WorldChangedError

Values = dict[str, str | None]

# Of lines that it skips it would print a warning over the screen; ours are in the preview.
logging.getLogger("dotenv").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class EnvRewrite:
    """What a rewrite will do to one file.

    Attributes:
        path: the real file; symlinks have been followed.
        before: its bytes when the rewrite was planned.
        after: its bytes once it is written.
        values: all keys and values that python-dotenv must read from it then; None for a file of another kind.
        changed: the keys or lines that change, in the order of the file; empty when nothing changes.
        warnings: what a usual reader of the file will read differently.
        keys: the keys whose values change.
        stretches: which comments of an env file change, or which lines of another text, counted from 0.
    """

    path: Path
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)
    values: Values | None = field(repr=False)
    changed: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    stretches: tuple[int, ...] = ()


def plan_rewrite(path: Path, changes: Mapping[str, Secret | str]) -> EnvRewrite:
    """Work out the bytes of an env file with other values for some keys; reads only.

    Raises:
        EnvFileError: the file cannot be read, a key is not in it, or python-dotenv would not read exactly
            the intended values back.
        UnsafeValueError: a value cannot be written so that every reader reads it.
    """
    real = real_path(path)
    before = read_bytes(real)
    wanted = {key: value.reveal() if isinstance(value, Secret) else value for key, value in changes.items()}
    document = EnvDocument.parse(before)
    after = document.replaced(wanted)
    values = {**read_values(before), **wanted}
    check_values(real, after.to_bytes(), values)
    changed = tuple(key for key in document.values if key in wanted and document.spellings(key) != after.spellings(key))
    return EnvRewrite(real, before, after.to_bytes(), values, changed, document.warnings(), keys=changed)


def write(rewrite: EnvRewrite) -> bool:
    """Write a planned rewrite; return whether there was anything to write.

    Raises:
        WorldChangedError: the file is no longer what it was when the rewrite was planned.
        EnvFileError: the file cannot be written, or python-dotenv does not read it back as intended.
    """
    current = read_bytes(rewrite.path)
    if current == rewrite.after:
        return False
    if current != rewrite.before:
        raise edited_meanwhile(rewrite.path, rewrite.before, current)
    replace_bytes(rewrite.path, rewrite.after, intended=rewrite.values)
    return True


def read_values(content: bytes) -> Values:
    """Read the keys and values of an env file with python-dotenv, without interpolation."""
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="surrogateescape")
    return dict(dotenv_values(stream=stream, interpolate=False))


def real_path(path: Path) -> Path:
    """Follow symlinks to the file itself.

    Raises:
        EnvFileError: there is no such file.
    """
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unusable(path, "read", error) from error


def read_bytes(path: Path) -> bytes:
    """Return the bytes of an env file.

    Raises:
        EnvFileError: it cannot be read, or is no regular file: reading a pipe would wait for ever.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unusable(path, "read", RuntimeError("it is not a regular file"))
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, "read", error) from error


def replace_bytes(path: Path, content: bytes, *, mode: int | None = None, intended: Values | None = None) -> None:
    """Replace an env file durably; with ``intended``, only if python-dotenv reads exactly these values.

    Raises:
        EnvFileError: it cannot be written, or would not be read as intended; the file is as it was.
    """

    def check(temporary: Path) -> None:
        """Refuse a file, before it takes its place, that would be read otherwise than intended."""
        if intended is not None:
            check_values(path, temporary.read_bytes(), intended)

    try:
        replace_file(path, content, mode=mode, check=check)
    except OSError as error:
        raise _unusable(path, "written", error) from error


def differing_keys(one: bytes, other: bytes) -> tuple[str, ...]:
    """Return the keys whose values differ between two versions of an env file, sorted."""
    left, right = read_values(one), read_values(other)
    missing = object()
    keys = left.keys() | right.keys()
    return tuple(sorted(key for key in keys if left.get(key, missing) != right.get(key, missing)))


def edited_meanwhile(path: Path, expected: bytes, current: bytes) -> WorldChangedError:
    """Say that somebody edited the file since, naming the keys and no values."""
    keys = differing_keys(expected, current)
    what = (
        "Keys that differ: " + ", ".join(map(shown_key, keys)) if keys else "Only comments, order or spelling differ."
    )
    return WorldChangedError(
        f"{path.name} was edited meanwhile",
        happened=f"{path} is no longer what it was. {what}",
        unchanged="The file was left as it is now.",
        remedy="Look at the file, decide which version is right, and preview the step again.",
    )


def check_values(path: Path, content: bytes, intended: Values) -> None:
    """Raise ``EnvFileError`` unless python-dotenv reads exactly the intended keys and values from ``content``."""
    found = read_values(content)
    wrong = sorted(key for key in found.keys() | intended.keys() if found.get(key) != intended.get(key))
    if found == intended:
        return
    raise EnvFileError(
        f"{path.name} would not be read as intended",
        happened=f"python-dotenv reads another value than intended for: {', '.join(map(shown_key, wrong))}.",
        unchanged="Nothing was written.",
        remedy="Put these lines right by hand (look for open quotes and stray text), then preview again.",
    )


def _unusable(path: Path, verb: str, error: OSError | RuntimeError) -> EnvFileError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return EnvFileError(
        f"{path.name} cannot be {verb}",
        happened=f"{path}: {reason}.",
        unchanged="The file was left as it was.",
        remedy="Check that the file exists and that you may read and write it and its folder.",
    )
