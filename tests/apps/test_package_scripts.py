"""What a package script really runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tekup_migrate.apps.package_scripts import PackageError, read_command


def package(folder: Path, scripts: dict[str, str], name: str = "root") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"name": name, "scripts": scripts}, ensure_ascii=False)
    (folder / "package.json").write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    "argv",
    [["pnpm", "db:push"], ["npm", "run", "db:push"], ["yarn", "db:push"], ["pnpm.cmd", "run", "-s", "db:push"]],
)
def test_a_baked_in_flag_is_found_whatever_the_runner(tmp_path: Path, argv: list[str]) -> None:
    package(tmp_path, {"db:push": "prisma  db push   --accept-data-loss"})
    reading = read_command(argv, root=tmp_path)
    assert reading.data_loss == ("--accept-data-loss",)
    assert reading.conclusive


def test_a_plain_push_carries_no_flag(tmp_path: Path) -> None:
    package(tmp_path, {"db:push": "dotenv -e .env -- prisma db push --skip-generate"})
    reading = read_command(["pnpm", "db:push"], root=tmp_path)
    assert reading.data_loss == ()
    assert reading.conclusive


def test_scripts_are_followed_through_scripts_packages_and_neighbours(tmp_path: Path) -> None:
    package(tmp_path, {"db:push": "CI=1 pnpm --filter @x/backend db:push", "predb:push": "echo before"})
    package(
        tmp_path / "apps" / "backend",
        {"db:push": "pnpm run generate && npm run raw", "generate": "prisma generate",
         "raw": "prisma db push --force-reset; pnpm db:push"},
        name="@x/backend",
    )  # fmt: skip
    reading = read_command(["pnpm", "db:push"], root=tmp_path)
    assert [script.name for script in reading.scripts] == ["predb:push", "db:push", "db:push", "generate", "raw"]
    assert reading.data_loss == ("--force-reset",)


@pytest.mark.parametrize("option", [["-C", "apps/backend"], ["--dir=apps/backend"], ["--filter", "./apps/backend"]])
def test_a_named_folder_is_where_the_script_is_read(tmp_path: Path, option: list[str]) -> None:
    package(tmp_path, {"db:push": "echo no"})
    package(tmp_path / "apps" / "backend", {"db:push": "prisma migrate  reset --force"})
    assert read_command(["pnpm", *option, "db:push"], root=tmp_path).data_loss == ("migrate reset",)


def test_a_flag_in_the_command_itself_is_found(tmp_path: Path) -> None:
    reading = read_command(["pnpm", "exec", "prisma", "db", "push", "--accept-data-loss"], root=tmp_path)
    assert reading.data_loss == ("--accept-data-loss",)
    assert reading.scripts == ()
    assert reading.conclusive


@pytest.mark.parametrize("text", ["turbo run db:push", "node scripts/push.js", "pnpm prisma:push"])
def test_what_cannot_be_read_is_not_called_safe(tmp_path: Path, text: str) -> None:
    package(tmp_path, {"db:push": text})
    assert not read_command(["pnpm", "db:push"], root=tmp_path).conclusive


@pytest.mark.parametrize("content", ["{", "[]", '{"scripts": []}', '{"scripts": {"a": 1}}'])
def test_a_broken_package_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "package.json").write_text(content, encoding="utf-8")
    with pytest.raises(PackageError, match=r"package\.json"):
        read_command(["pnpm", "db:push"], root=tmp_path)
