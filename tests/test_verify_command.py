"""``tekup-migrate verify`` on a run of its own: three verdicts, and what could not be told is never called equal."""

from __future__ import annotations

import json

from tests.commands import Ended, tekup_migrate
from tests.worlds import LIBRARY, OwnWorld, own_world


def verify(own: OwnWorld, *, extra: dict[str, str] | None = None) -> Ended:
    variables = {**own.variables, **(extra or {})}
    return tekup_migrate("--plan", own.plan_file, "--state", own.state, "verify", "--json", extra=variables)


def test_verify_tells_equal_from_different_and_both_from_not_knowing() -> None:
    with own_world(LIBRARY, rows=300) as own:
        before = verify(own)
        assert (before.code, json.loads(before.out)["verdict"]) == (3, "unverified")
        own.run()
        equal = verify(own)
        assert (equal.code, json.loads(equal.out)["verdict"]) == (0, "passed")
        own.value("main", "UPDATE public.branch_loans SET reader = 'en anden' WHERE id = 7 RETURNING id")
        different = verify(own)
        assert different.code == 1
        facts = "\n".join(json.loads(different.out)["facts"])
        assert "id = 7" in facts
        assert "reader" in facts
        assert "0 rows are only at the source, 0 only at the target, 1 differ" in facts
        unknown = verify(own, extra={"TEKUP_MIGRATE_MAIN_PASSWORD": "not the password"})
        assert (unknown.code, json.loads(unknown.out)["verdict"]) == (3, "unverified")
        assert "not the password" not in unknown.out + unknown.err
