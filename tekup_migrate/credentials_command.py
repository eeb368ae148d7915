"""Runs ``tekup-migrate credentials``: opens the store, asks where somebody can answer, and gives the exit code."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tekup_migrate import keeping
from tekup_migrate.asking import TerminalOperator
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event, Ran
from tekup_migrate.phases.access import url_note
from tekup_migrate.plan import Plan
from tekup_migrate.questions import Option, Question
from tekup_migrate.real import given_urls
from tekup_migrate.secret_source import KINDS
from tekup_migrate.store_choice import choose_store

_CODES = {keeping.GOOD: 0, keeping.WRONG: 1, keeping.UNKNOWN: 3}


@dataclass(frozen=True)
class Desk:
    """What the command works with: the plan, the state directory, and where it reads and writes."""

    plan: Plan
    state: Path
    write: Callable[[str], None]
    write_json: Callable[[object], None]
    stdin: TextIO

    @property
    def operator(self) -> TerminalOperator:
        """Whoever sits at the terminal; nobody where standard input is none, so that what comes from it is a secret."""
        if self.stdin.isatty():
            return TerminalOperator(ask=input, ask_hidden=getpass.getpass, write=self.write)
        return TerminalOperator(ask=_nobody, ask_hidden=_nobody, write=self.write)

    def heard(self, event: Event) -> None:
        """Say why a store is not used."""
        if isinstance(event, Ran):
            self.write(event.text)


async def carry_out(desk: Desk, options: argparse.Namespace) -> int:
    """Carry out one action and return the exit code.

    Raises:
        MigrationError: the store cannot be used, or what was asked for cannot be done.
    """
    quiet = bool(getattr(options, "json", False))
    listen = (lambda event: None) if quiet else desk.heard
    store = await choose_store(desk.operator, listen, keeping.folder_of(desk.state))
    actions = {"import": _import, "replace": _replace, "forget": _forget, "check": _check, "list": _list}
    return await actions[options.action](desk, store, options)


async def _list(desk: Desk, store: CredentialStore, options: argparse.Namespace) -> int:
    found = await keeping.kept(desk.plan, store)
    if options.json:
        desk.write_json(found)
        return 0
    desk.write(f"Kept in {store.name}:")
    for each in found:
        desk.write(f"  {each.project:<12} {each.kind:<12} {each.says if each.kept else '–'}")
    return 0


async def _import(desk: Desk, store: CredentialStore, options: argparse.Namespace) -> int:
    keeping.require_lasting(store)
    return 0 if await keeping.bring_in(desk.plan, store, desk.operator, desk.write, sure=options.yes) else 1


async def _replace(desk: Desk, store: CredentialStore, options: argparse.Namespace) -> int:
    keeping.require_lasting(store)
    _require_project(desk, options.project)
    kind = options.kind.replace("-", " ")
    if desk.stdin.isatty():
        value = getpass.getpass(f"New {kind} of {desk.plan.projects[options.project].title} (not shown): ")
    else:
        value = desk.stdin.readline()
    await keeping.replace(desk.plan, store, options.project, kind, Secret(value.strip("\r\n"), kind=kind))
    desk.write(f"The {kind} of {options.project} is kept in {store.name}.")
    return 0


async def _forget(desk: Desk, store: CredentialStore, options: argparse.Namespace) -> int:
    keeping.require_lasting(store)
    _require_project(desk, options.project)
    kinds = (options.kind.replace("-", " "),) if options.kind else KINDS
    if not options.yes and await desk.operator.choose(_sure(desk, options.project, kinds)) != "forget":
        desk.write("Nothing was forgotten.")
        return 1
    gone = await keeping.forget(desk.plan, store, options.project, kinds)
    desk.write(f"Forgotten: {', '.join(gone)}." if gone else "Nothing of it was kept.")
    return 0


async def _check(desk: Desk, store: CredentialStore, options: argparse.Namespace) -> int:
    urls = keeping.urls_of(desk.plan, given_urls(desk.plan, desk.state), url_note)
    found = await keeping.check(desk.plan, store, urls)
    if options.json:
        desk.write_json(found)
    for each in found if not options.json else ():
        desk.write(f"{each.outcome:<14} {each.project:<12} {each.kind:<12} {each.says}")
    if not found and not options.json:
        desk.write("Nothing is kept, so there is nothing to check.")
    return _worst([each.outcome for each in found])


def _worst(outcomes: Sequence[str]) -> int:
    codes = {_CODES[outcome] for outcome in outcomes}
    return 1 if 1 in codes else max(codes, default=0)


def _require_project(desk: Desk, project: str) -> None:
    if project in desk.plan.projects:
        return
    raise MigrationError(
        f"The plan has no project “{project}”",
        happened=f"The plan “{desk.plan.id}” has: {', '.join(desk.plan.projects)}.",
        unchanged="Nothing was kept, replaced or forgotten.",
        remedy="Name one of these.",
    )


def _sure(desk: Desk, project: str, kinds: tuple[str, ...]) -> Question:
    return Question(
        title=f"Forget the credentials of {desk.plan.projects[project].title}?",
        text=f"{', '.join(kinds)}: they are asked for again when they are needed.",
        options=(
            Option("forget", "Forget them", "They are gone from here."),
            Option("no", "Keep them", "Nothing changes."),
        ),
        safe="no",
    )


def _nobody(prompt: str) -> str:
    raise EOFError
