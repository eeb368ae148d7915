"""Whose the target's rows are: only our copy, or live rows of an app that was pointed at them."""

from __future__ import annotations

import datetime as dt

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.steps import Context

_YES = b"yes"
_NO = b""


def note_created(context: Context, table: str) -> None:
    """Remember that this run created a table on the target."""
    context.memory.remember(f"created:{table}", _YES)


def forget_created(context: Context, table: str) -> None:
    """Remember that the table is gone again."""
    context.memory.remember(f"created:{table}", _NO)


def note_cut_over(context: Context, app: str) -> None:
    """Remember when an app's env files were first pointed at the target."""
    if not context.memory.recall(f"cut-over:{app}"):
        context.memory.remember(f"cut-over:{app}", dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds").encode())


def forget_cut_over(context: Context, app: str) -> None:
    """Remember that the app's env files are as they were."""
    context.memory.remember(f"cut-over:{app}", _NO)


def is_cut_over(context: Context, app: str) -> bool:
    """Whether an app's env files point at the target by this run's doing."""
    return bool(context.memory.recall(f"cut-over:{app}"))


def refuse_live(context: Context, app: str) -> None:
    """Stop where an app still uses what is about to be taken from the target.

    Raises:
        WorldChangedError: its env files point at the target.
    """
    if is_cut_over(context, app):
        raise WorldChangedError(
            f"{context.plan.apps[app].title} still uses the target",
            happened="Its env files point at the target: what is to be taken back there is in use.",
            unchanged="Nothing was dropped or emptied.",
            remedy="Take the rewrite of its env files back first; without that the app would be broken.",
        )


def is_created(context: Context, table: str) -> bool:
    """Whether this run created a target table."""
    return context.memory.recall(f"created:{table}") == _YES


def is_ours(context: Context, app: str, table: str) -> bool:
    """Whether a target table was created by this run and is not live yet, so that its rows are only our copy."""
    return is_created(context, table) and not is_cut_over(context, app)
