"""A stand-in for pnpm in a rehearsal, where no Node is: runs a script of the nearest ``package.json``.

It knows ``pnpm [--dir DIR] [run] SCRIPT [ARGUMENTS…]``. A script is one command whose program is one of
``sample-app``, ``prisma`` or ``pnpm`` itself, each of which this package brings.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = {
    "sample-app": "tekup_migrate.rehearsal.sample_app",
    "prisma": "tekup_migrate.rehearsal.prisma_stand_in",
    "pnpm": "tekup_migrate.rehearsal.pnpm",
}
"""The programs that scripts of sample repositories may name, and the module that stands in for each."""


@dataclass(frozen=True)
class Invocation:
    """What was asked for: a script, further arguments, and the folder to start looking from."""

    folder: Path
    script: str
    arguments: tuple[str, ...]


def parse(arguments: list[str], folder: Path) -> Invocation:
    """Read pnpm's arguments; raises ``LookupError`` where no script is named."""
    rest = list(arguments)
    if len(rest) > 1 and rest[0] in ("--dir", "-C"):
        folder = folder / rest[1]
        rest = rest[2:]
    if rest and rest[0] == "run":
        rest = rest[1:]
    if not rest:
        raise LookupError("name a script of package.json")
    return Invocation(folder, rest[0], tuple(each for each in rest[1:] if each != "--"))


def resolve(invocation: Invocation) -> tuple[list[str], Path]:
    """Return the command of a script and the folder it runs in.

    Raises:
        LookupError: there is no ``package.json``, no such script, or no stand-in for its program.
    """
    here = invocation.folder.resolve()
    package = next((each / "package.json" for each in (here, *here.parents) if (each / "package.json").is_file()), None)
    if package is None:
        raise LookupError(f"no package.json in {here} or above")
    script = json.loads(package.read_text(encoding="utf-8")).get("scripts", {}).get(invocation.script)
    if not isinstance(script, str):
        raise LookupError(f'Missing script: "{invocation.script}" in {package}')
    program, *rest = shlex.split(script)
    module = PROGRAMS.get(program)
    if module is None:
        raise LookupError(f"there is no stand-in for {program!r} in a rehearsal")
    return [sys.executable, "-m", module, *rest, *invocation.arguments], package.parent


def make_programs(folder: Path) -> None:
    """Write the executables ``pnpm`` and ``pnpm.cmd`` into ``folder``, which goes first on the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[2]
    posix = folder / "pnpm"
    posix.write_text(
        "#!/bin/sh\n"
        f'PYTHONPATH={shlex.quote(str(root))}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        "export PYTHONPATH\n"
        f'exec {shlex.quote(sys.executable)} -m tekup_migrate.rehearsal.pnpm "$@"\n',
        encoding="utf-8",
        newline="\n",
    )
    posix.chmod(0o755)
    (folder / "pnpm.cmd").write_text(
        f'@set "PYTHONPATH={root};%PYTHONPATH%"\n@"{sys.executable}" -m tekup_migrate.rehearsal.pnpm %*\n',
        encoding="utf-8",
        newline="\r\n",
    )


def main(arguments: list[str]) -> int:
    """Run the script and return its exit code; on POSIX the process becomes the script."""
    try:
        command, folder = resolve(parse(arguments, Path.cwd()))
    except LookupError as error:
        print(f"ERR_PNPM_NO_SCRIPT  {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"> {folder}\n> {shlex.join(command[2:])}\n", flush=True)  # noqa: T201
    if sys.platform == "win32":
        return subprocess.call(command, cwd=folder)  # noqa: S603 - our own interpreter and modules
    os.chdir(folder)
    return os.execv(command[0], command)  # noqa: S606 - our own interpreter and modules


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
