"""Templates keep every byte but their placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.rehearsal.template import fill_in, lay_out

KNOWN = {"rows": "12", "name": "Søren ${rows}"}


def test_only_placeholders_change() -> None:
    content = b"\xef\xbb\xbf$$ $1 ${rows}\r\n$name {rows} \xff ${name}"
    filled = fill_in(content, KNOWN.__getitem__, source=Path("x"))
    assert filled == b"\xef\xbb\xbf$$ $1 12\r\n$name {rows} \xff " + "Søren ${rows}".encode()


def test_an_unknown_placeholder_is_a_mistake_with_its_line() -> None:
    with pytest.raises(MigrationError, match=r"x\.sql, line 2: \$\{nonsense\}"):
        fill_in(b"\n${nonsense}", KNOWN.__getitem__, source=Path("x.sql"))


def test_dot_files_get_their_names_and_folders_too(tmp_path: Path) -> None:
    (tmp_path / "from/dot_config").mkdir(parents=True)
    (tmp_path / "from/dot_env").write_bytes(b"A=${rows}\r\n")
    (tmp_path / "from/dot_config/dotted").write_bytes(b"")
    written = lay_out(tmp_path / "from", tmp_path / "to", KNOWN.__getitem__)
    assert sorted(path.relative_to(tmp_path / "to").as_posix() for path in written) == [".config/dotted", ".env"]
    assert (tmp_path / "to/.env").read_bytes() == b"A=12\r\n"
