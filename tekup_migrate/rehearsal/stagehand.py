"""Plays the part of the world that an operator would have to go to: stops the sample world's writers."""

from __future__ import annotations

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.plan import Plan
from tekup_migrate.questions import (
    Answer,
    Attestation,
    ConnectionAnswer,
    ConnectionRequest,
    Question,
    Reply,
    SecretRequest,
    TextRequest,
)
from tekup_migrate.rehearsal.writer import Writers
from tekup_migrate.steps import Operator, Preview, Step


class Stagehand:
    """Passes every question on; when the operator says that an app's writers are stopped, it stops them.

    A rehearsal has no dashboard to stop a hosted worker in, so the word has to be enough.
    """

    def __init__(self, operator: Operator, plan: Plan, writers: Writers) -> None:
        self._operator = operator
        self._apps = {phase.id: phase.app for phase in plan.phases if phase.app}
        self._writers = writers

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        """Pass it on."""
        return await self._operator.confirm(step, preview)

    async def choose(self, question: Question) -> str:
        """Pass it on."""
        return await self._operator.choose(question)

    async def write(self, request: TextRequest) -> str:
        """Pass it on."""
        return await self._operator.write(request)

    async def secret(self, request: SecretRequest) -> Secret | None:
        """Pass it on."""
        return await self._operator.secret(request)

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        """Pass it on."""
        return await self._operator.connection(request)

    async def attest(self, request: Attestation) -> Reply:
        """Pass it on, and do what was attested."""
        reply = await self._operator.attest(request)
        phase, _, name = request.id.partition(".")
        if reply.answer is Answer.PROCEED and name == "writers" and phase in self._apps:
            await self._writers.stop(self._apps[phase])
        return reply
