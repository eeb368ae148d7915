"""Finding the program a command names, in the environment it will run in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tekup_migrate.errors import CommandFailedError

# cmd.exe reads these in the arguments of a batch file even when they are quoted.
_BATCH_SPECIAL = frozenset('&|<>^%!"\r\n')


def resolve_executable(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> Path:
    """Return the absolute path of the program ``argv`` names, looked up as it would be from ``cwd``.

    Only the PATH of ``environment`` counts. On Windows ``.cmd`` and the like are found by PATHEXT.

    Raises:
        CommandFailedError: there is no such program or no such folder, or the program is a batch file and
            an argument holds a character that its interpreter would act on.
    """
    if not argv or not argv[0]:
        raise ValueError("a command needs a program")
    if not cwd.is_dir():
        raise CommandFailedError(
            f"{argv[0]} cannot be started",
            happened=f"The folder it should run in does not exist: {cwd}",
            unchanged="The command was not started.",
            remedy="Correct the path in the plan, or put the folder back.",
        )
    path = next((value for name, value in environment.items() if name.upper() == "PATH"), "")
    folders = os.pathsep.join(str(cwd / entry) for entry in path.split(os.pathsep) if entry)
    name = str(cwd / argv[0]) if Path(argv[0]).parent != Path() else argv[0]
    found = shutil.which(name, path=folders)
    if found is None:
        raise CommandFailedError(
            f"{argv[0]} was not found",
            happened=f"No program called {argv[0]} is on the PATH that the command would run with.",
            unchanged="The command was not started.",
            remedy=f"Install {argv[0]}, or add its folder to PATH, and try again.",
            details=f"PATH: {path or '(empty)'}",
        )
    _refuse_batch_specials(Path(found), argv)
    return Path(found).absolute()


def _refuse_batch_specials(program: Path, argv: Sequence[str]) -> None:
    if program.suffix.lower() not in {".cmd", ".bat"}:
        return
    for argument in argv[1:]:
        if _BATCH_SPECIAL.intersection(argument):
            raise CommandFailedError(
                f"{argv[0]} cannot be given this argument",
                happened=f"{program.name} is a batch file, and {argument!r} holds a character it acts on.",
                unchanged="The command was not started.",
                remedy="Put the command into a script of package.json and name that script in the plan.",
            )
