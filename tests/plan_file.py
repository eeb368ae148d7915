"""Writing a plan down as TOML, so that a process of its own can read it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from tekup_migrate.plan import Plan, read_plan


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as a TOML file that reads back as the same plan."""
    parts = msgspec.to_builtins(plan)
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in parts.items()), encoding="utf-8")
    assert read_plan(path) == plan


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON's strings, numbers and booleans are TOML's too.
    return json.dumps(value, ensure_ascii=False)
