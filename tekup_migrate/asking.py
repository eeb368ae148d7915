"""An operator at a plain terminal: previews as lines of text, answers as a typed line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from tekup_migrate.credentials.secret import Secret
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
from tekup_migrate.steps import Action, Command, Danger, FileChange, Manual, Preview, Remark, Sql, Step

Ask = Callable[[str], str]
"""Shows a prompt and returns the line that was typed; raises ``EOFError`` where nobody can answer any more."""


class TerminalOperator:
    """Implements the engine's ``Operator`` with lines: y, s or n; a destructive step takes its own capital letter."""

    def __init__(self, *, ask: Ask, ask_hidden: Ask, write: Callable[[str], None]) -> None:
        self._ask = ask
        self._ask_hidden = ask_hidden
        self._write = write

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        """Print exactly what will happen, and take the answer."""
        for line in preview_lines(preview):
            self._write(line)
        key = capital(preview.verb) if step.danger is Danger.DESTRUCTIVE else "y"
        answer = await self._one_of((key, "s", "n"), f"{key} {preview.verb} · s leave it, with a reason · n stop: ")
        if answer == "s":
            reason = await self._line(self._ask, "Reason: ")
            return Reply(Answer.SKIP, reason or "no reason given")
        if answer != key:
            return Reply(Answer.DECLINE)
        if preview.typed_name and await self._line(self._ask, f"Type {preview.typed_name}: ") != preview.typed_name:
            self._write("That is not the name: nothing is done.")
            return Reply(Answer.DECLINE)
        return Reply(Answer.PROCEED)

    async def choose(self, question: Question) -> str:
        """Print the options with numbers, and take one; where nobody answers, the safe one."""
        self._write(f"\n{question.title}\n{question.text}")
        for number, option in enumerate(question.options, 1):
            self._write(f"  {number}  {option.label}: {option.consequence}")
        numbers = {str(number): option.id for number, option in enumerate(question.options, 1)}
        answer = await self._one_of(tuple(numbers), f"1 to {len(numbers)}: ")
        return numbers.get(answer, question.safe)

    async def write(self, request: TextRequest) -> str:
        """Print what is asked for, and take a line; nothing typed is no answer."""
        self._write(f"\n{request.title}\n{request.text}")
        if request.trouble:
            self._write(request.trouble)
        return await self._line(self._ask, f"{request.verb} (Enter alone: nothing): ")

    async def secret(self, request: SecretRequest) -> Secret | None:
        """Ask for a secret without showing what is typed."""
        if request.trouble:
            self._write(request.trouble)
        typed = await self._line(self._ask_hidden, f"{request.kind} of {request.project}. {request.why} ")
        return Secret(typed, kind=request.kind, project=request.project) if typed else None

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        """Ask for a URL, then for the password, without showing what is typed; nothing typed keeps what is there."""
        if request.trouble is not None:
            self._write(f"\n{request.trouble}")
        self._write(f"\nConnect to {request.title} · {request.ref}, now {request.text}")
        text = await self._line(self._ask_hidden, "Connection URL (not shown; Enter keeps it): ")
        typed = await self._line(
            self._ask_hidden, "Password (not shown; Enter where the URL holds it, or to keep it): "
        )
        if not text and not typed:
            return None
        in_place = request.password if not text else None
        password = Secret(typed, kind="password", project=request.ref) if typed else in_place
        return ConnectionAnswer(text=text or request.text, password=password)

    async def attest(self, request: Attestation) -> Reply:
        """Print what is to be done by hand, and take the operator's word."""
        self._write(f"\n{request.title}\n{request.instruction}\n{request.address}".rstrip())
        answer = await self._one_of(("y", "s", "n"), "y it is done · s skip, with a reason · n stop: ")
        if answer == "s":
            return Reply(Answer.SKIP, await self._line(self._ask, "Reason: ") or "no reason given")
        return Reply(Answer.PROCEED if answer == "y" else Answer.DECLINE)

    async def _one_of(self, answers: tuple[str, ...], prompt: str) -> str:
        """Ask until one of the answers was typed, exactly; an empty text where nobody can answer any more."""
        while True:
            try:
                typed = (await asyncio.to_thread(self._ask, prompt)).strip()
            except EOFError:
                return ""
            if typed in answers:
                return typed

    async def _line(self, ask: Ask, prompt: str) -> str:
        try:
            return (await asyncio.to_thread(ask, prompt)).strip()
        except EOFError:
            return ""


def capital(verb: str) -> str:
    """Return the capital letter that lets a destructive step go ahead: the verb's first that no other answer uses."""
    letters = (letter for letter in f"{verb.upper()}X" if letter.isascii() and letter.isalpha())
    return next(letter for letter in letters if letter not in "SNY")


def preview_lines(preview: Preview) -> Iterator[str]:
    """Yield a preview as text: what is destroyed first, then everything that runs, then the way back."""
    yield f"\n{preview.title}"
    yield f"  Target  {preview.target}"
    for line in preview.destroys:
        yield f"  ✗ {line}"
    for action in preview.actions:
        yield from _action_lines(action)
    yield f"  Undo    {preview.undo}"
    if preview.cover is not None:
        yield f"  Backup  {preview.cover.folder}, {preview.cover.age}"
        yield f"  Restore {preview.cover.way_back}"


def _action_lines(action: Action) -> Iterator[str]:
    match action:
        case Sql(statement, where):
            yield f"  {where}"
            yield from (f"    {line}" for line in f"{statement};".splitlines())
        case Command(argv, cwd):
            yield f"  {cwd}"
            yield f"    {' '.join(argv)}"
        case FileChange(path, lines):
            yield f"  {path}"
            yield from (f"    {line.kind} {line.old_number or line.new_number:>4}  {line.text}" for line in lines)
        case Manual(instruction, address):
            yield f"  By hand: {instruction} {address}".rstrip()
        case Remark(text, warning):
            yield f"  {'! ' if warning else ''}{text}"
