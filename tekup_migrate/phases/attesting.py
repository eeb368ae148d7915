"""Asking for the operator's word, and what follows from the answer."""

from __future__ import annotations

from tekup_migrate.questions import Answer, Attestation
from tekup_migrate.steps import Context, DeclinedError, SkippedError


async def attest(context: Context, *, id: str, title: str, instruction: str, address: str = "") -> None:
    """Ask the operator to do something by hand and say so; returns when it was attested.

    Raises:
        SkippedError: the operator skipped it, with a reason.
        DeclinedError: the operator will not say so for now.
    """
    request = Attestation(id=id, title=title, instruction=instruction, address=address)
    reply = await context.operator.attest(request)
    if reply.answer is Answer.SKIP:
        raise SkippedError(reply.reason)
    if reply.answer is Answer.DECLINE:
        raise DeclinedError
