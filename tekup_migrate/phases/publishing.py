"""README, commit and push: the app's repository says where its data now lives, and its remote knows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tekup_migrate.git.commits import CommitRecord, commit_paths, undo_commit
from tekup_migrate.git.push import push, push_preview
from tekup_migrate.git.repository import Repository
from tekup_migrate.phases.prisma import config_paths
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.report.readme import with_section
from tekup_migrate.steps import (
    Command,
    Context,
    Danger,
    DiffLine,
    Evidence,
    FileChange,
    Preview,
    Remark,
    Step,
    Undo,
    Verdict,
)
