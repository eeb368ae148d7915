"""The options and commands about backups: how they are made, listing and proving them, restoring one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan

if TYPE_CHECKING:
    from tekup_migrate.steps import Operator

Command = Callable[[Plan, argparse.Namespace], int]


@dataclass(frozen=True)
class Desk:
    """What the commands work with.

    Attributes:
        plan: the consolidation.
        state: the directory that keeps runs.
        called_as: the program and options with which a terminal reaches this plan and state.
        operator: whoever answers.
        write: takes a line of text.
        write_json: takes what is printed as JSON.
    """

    plan: Plan
    state: Path
    called_as: tuple[str, ...]
    operator: Operator
    write: Callable[[str], None]
    write_json: Callable[[object], None]


def add_backup_options(parser: argparse.ArgumentParser, *, default: object) -> None:
    """Add how this run's backups are made; ``default`` is False, or ``argparse.SUPPRESS`` below another parser."""
    parser.add_argument("--encrypt", action="store_true", default=default, help="seal this run's backups with age")
    parser.add_argument(
        "--plain-sql", action="store_true", default=default, help="write a plain SQL file beside each archive as well"
    )


def with_backup_options(plan: Plan, options: argparse.Namespace) -> Plan:
    """Return the plan with what the command line asks of its backups."""
    import msgspec

    backups = msgspec.structs.replace(
        plan.backups,
        encrypt=plan.backups.encrypt or options.encrypt,
        plain=plan.backups.plain or options.plain_sql,
    )
    return msgspec.structs.replace(plan, backups=backups)


def add_backup_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], *, backups_command: Command, restore_command: Command
) -> None:
    """Add ``backups`` and ``restore``."""
    backups = commands.add_parser("backups", help="list the backups; with --verify, read every byte of them")
    backups.add_argument("folders", nargs="*", type=Path, metavar="BACKUP", help="these (default: all of the runs)")
    how = backups.add_mutually_exclusive_group()
    how.add_argument("--verify", action="store_true", help="compare every file with its SHA-256; exit 1 if one differs")
    how.add_argument("--drill", action="store_true", help="restore the one BACKUP on trial into a throw-away server")
    how.add_argument("--json", action="store_true", help="the list as JSON")
    backups.set_defaults(command=backups_command)
    restore = commands.add_parser(
        "restore", help="the last resort: a backup over a live project, or one table of it under a new name"
    )
    restore.add_argument("backup", type=Path, metavar="BACKUP", help="the backup's folder")
    restore.add_argument("--to", choices=("source", "target"), required=True, help="into which project of the plan")
    restore.add_argument("--table", metavar="[SCHEMA.]TABLE", help="only this table; it goes beside the live one")
    restore.add_argument("--as", dest="new_name", metavar="NEW", help="the new name of that table")
    restore.add_argument("--unattended", action="store_true", help="ask nobody; loopback databases only")
    restore.set_defaults(command=restore_command)


def carry_out_backups(desk: Desk, options: argparse.Namespace) -> int:
    """List, verify or drill backups; return the exit code.

    Raises:
        MigrationError: a folder is no backup, or could not be drilled.
    """
    import asyncio

    from tekup_migrate.real import restoring_opening
    from tekup_migrate.restoration import backup_lines, backup_statuses, backups_of, drill_folder

    if options.drill:
        folder = _only(options.folders)
        opening = restoring_opening(desk.plan, desk.state, called_as=desk.called_as)
        return asyncio.run(drill_folder(opening, desk.operator, folder, desk.write))
    folders = options.folders or backups_of(desk.plan, desk.state)
    statuses = asyncio.run(backup_statuses(desk.plan, folders, verify=options.verify))
    if options.json:
        desk.write_json(statuses)
    else:
        desk.write("\n".join(backup_lines(statuses)))
    return int(any(status.findings for status in statuses))


def carry_out_restore(desk: Desk, options: argparse.Namespace) -> int:
    """Restore a backup, or one table of it; return the exit code.

    Raises:
        MigrationError: it could not be restored.
    """
    import asyncio

    from tekup_migrate.real import restoring_opening
    from tekup_migrate.restoration import restore, table_named

    table = table_named(options.table, options.new_name)
    opening = restoring_opening(desk.plan, desk.state, called_as=desk.called_as)
    folder, new_name = options.backup.absolute(), options.new_name or ""
    work = restore(opening, desk.operator, folder, desk.write, role=options.to, table=table, new_name=new_name)
    return asyncio.run(work)


def _only(folders: list[Path]) -> Path:
    if len(folders) == 1:
        return folders[0].absolute()
    raise MigrationError(
        "Name one backup to restore on trial",
        happened=f"--drill was given {len(folders)} folders.",
        unchanged="Nothing was restored.",
        remedy="`tekup-migrate backups` lists the folders; then `tekup-migrate backups --drill FOLDER`.",
    )
