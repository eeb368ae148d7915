"""The commands; the wizard is opened only when it is asked for.

Exit codes: 0 all is well, 1 something differs or did not pass, 2 an error the operator can act on or wrong
usage, 3 could not tell, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate import __version__
from tekup_migrate.backups_command import (
    Desk,
    add_backup_commands,
    add_backup_options,
    carry_out_backups,
    carry_out_restore,
    with_backup_options,
)
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import BUILT_IN, Plan, read_plan

if TYPE_CHECKING:
    from tekup_migrate.sitting import Opening
    from tekup_migrate.steps import Operator

ERROR, INTERRUPTED = 2, 130
_SECRET_KINDS = ("password", "anon-key", "service-key")
_VERIFY_CODES = {"passed": 0, "differs": 1, "unverified": 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _speak_utf8()
    options = _parser().parse_args(arguments)
    try:
        plan = with_backup_options(read_plan(options.plan), options)
        command: Callable[[Plan, argparse.Namespace], int] = options.command
        return command(plan, options)
    except MigrationError as error:
        print(error, file=sys.stderr)
        return ERROR
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has seen enough; the interpreter must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted. What was done is in the journal; start again to resume.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tekup-migrate",
        description="Consolidate several Supabase projects into one, with a way back from every step."
        " Without a command: the wizard, which offers to resume an unfinished run.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--plan", type=Path, default=BUILT_IN, metavar="FILE", help="the plan (default: the built-in one)"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="where runs are kept (default: your state directory)")
    add_backup_options(parser, default=False)
    parser.set_defaults(command=_wizard)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_rehearse(commands)
    show = commands.add_parser("plan", help="show every phase and step, its danger and how it is undone")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(command=_plan)
    status = commands.add_parser("status", help="show where the run stands")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(command=_status)
    report = commands.add_parser("report", help="write the report of the latest run")
    report.add_argument("--format", choices=("md", "json"), default="md", help="Markdown (default) or JSON")
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead of printing it")
    report.set_defaults(command=_report)
    verify = commands.add_parser(
        "verify", help="compare both sides row by row; exit 0 equal, 1 differs, 3 could not tell"
    )
    verify.add_argument("--json", action="store_true", help="as JSON")
    verify.set_defaults(command=_verify)
    run = commands.add_parser("run", help="carry the plan out without questions; loopback databases only")
    run.add_argument("--unattended", action="store_true", required=True, help="required: nobody will be asked")
    run.add_argument("--report", type=Path, metavar="FILE", help="write the JSON report there")
    add_backup_options(run, default=argparse.SUPPRESS)
    run.set_defaults(command=_run)
    back = commands.add_parser("rollback", help="take the latest run back, the last step first, asking for each")
    back.add_argument(
        "--to", default="", metavar="STEP_OR_PHASE", help="down to and including this one (default: all of it)"
    )
    back.add_argument("--unattended", action="store_true", help="ask nobody; loopback databases only")
    back.set_defaults(command=_roll_back)
    _add_credentials(commands)
    add_backup_commands(commands, backups_command=_backups, restore_command=_restore)
    return parser


def _add_credentials(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    root = commands.add_parser(
        "credentials",
        help="the kept passwords and keys: list (never a value), import, replace, forget, check",
        description="Without an action: list. A secret is read from the terminal or from standard input, never from"
        " an argument. Where there is no keyring, the file sealed by a passphrase is used; in scripts its passphrase"
        " is read from TEKUP_MIGRATE_PASSPHRASE.",
    )
    root.add_argument("--json", action="store_true", help="list as JSON")
    root.set_defaults(command=_credentials, action="list")
    actions = root.add_subparsers(title="actions", metavar="ACTION")
    bring = actions.add_parser("import", help="take them from the apps' env files, after showing what goes where")
    bring.add_argument("--yes", action="store_true", help="do not ask")
    bring.set_defaults(action="import")
    put = actions.add_parser("replace", help="keep a new one, asked for or read from standard input")
    put.add_argument("project", metavar="PROJECT", help="its id in the plan")
    put.add_argument("kind", choices=_SECRET_KINDS, help="which")
    put.set_defaults(action="replace")
    drop = actions.add_parser("forget", help="remove them from where they are kept")
    drop.add_argument("project", metavar="PROJECT", help="its id in the plan")
    drop.add_argument("kind", nargs="?", choices=_SECRET_KINDS, help="which (default: all of the project)")
    drop.add_argument("--yes", action="store_true", help="do not ask")
    drop.set_defaults(action="forget")
    check = actions.add_parser("check", help="try every kept one; exit 0 good, 1 a wrong one, 3 could not tell")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(action="check")


def _add_rehearse(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rehearse = commands.add_parser("rehearse", help="the whole plan on throw-away servers and repositories made here")
    rehearse.add_argument("--unattended", action="store_true", help="no wizard, no questions: a line per step")
    rehearse.add_argument("--rows", type=_positive, default=2000, metavar="N", help="documents to make (default: 2000)")
    rehearse.add_argument(
        "--dir", type=Path, metavar="DIR", help="make it all in there (default: a temporary directory)"
    )
    rehearse.add_argument("--keep", action="store_true", help="keep the directory afterwards")
    rehearse.add_argument(
        "--then-roll-back", action="store_true", help="with --unattended: take everything back afterwards"
    )
    add_backup_options(rehearse, default=argparse.SUPPRESS)
    rehearse.add_argument("--report", type=Path, metavar="FILE", help="write the JSON report there")
    rehearse.set_defaults(command=_rehearse)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _speak_utf8() -> None:
    # A Windows console or a C locale would fail on the first Danish letter.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def _end_on_sigterm() -> None:
    """Let SIGTERM end the process the way Ctrl-C does, so that servers and children are taken along."""

    def end(*_: object) -> None:
        """Interrupt, also where a shell that put us into the background had SIGINT ignored."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, end)


def _wizard(plan: Plan, options: argparse.Namespace) -> int:
    from screens.wizard import open_wizard
    from tekup_migrate.real import real_opening

    opening = real_opening(plan, _state(options), called_as=_called_as(options))
    return open_wizard(plan, opening, rehearsal=False)


def _rehearse(plan: Plan, options: argparse.Namespace) -> int:
    from tekup_migrate.rehearsal.opening import rehearsal_opening

    _require_report(options.report)
    _end_on_sigterm()
    # Said when the wizard has given the terminal back.
    ended: list[str] = []
    opening = rehearsal_opening(
        plan,
        options.plan.with_suffix(""),
        rows=options.rows,
        directory=options.dir,
        keep=options.keep,
        ended=ended.append,
    )
    if not options.unattended:
        from screens.wizard import open_wizard

        try:
            return open_wizard(plan, opening, rehearsal=True, report_file=options.report)
        finally:
            for line in ended:
                _say(line)
    return _unattended(plan, opening, options.report, attests=True, then_roll_back=options.then_roll_back)


def _run(plan: Plan, options: argparse.Namespace) -> int:
    from tekup_migrate.real import real_opening, require_loopback

    require_loopback(plan)
    _require_report(options.report)
    _end_on_sigterm()
    opening = real_opening(plan, _state(options), called_as=_called_as(options))
    return _unattended(plan, opening, options.report, attests=False)


def _require_report(path: Path | None) -> None:
    """Find out before the run, not after it, that its report cannot be written."""
    if path is not None:
        from tekup_migrate.report.document import require_writable

        require_writable(path)


def _unattended(
    plan: Plan, opening: Opening, report: Path | None, *, attests: bool, then_roll_back: bool = False
) -> int:
    import asyncio

    from tekup_migrate.unattended import run_unattended

    return asyncio.run(
        run_unattended(opening, plan, _say, report_file=report, attests=attests, then_roll_back=then_roll_back)
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _roll_back(plan: Plan, options: argparse.Namespace) -> int:
    import asyncio

    from tekup_migrate.real import real_opening
    from tekup_migrate.unattended import take_back

    operator = _operator(plan, unattended=options.unattended)
    _end_on_sigterm()
    opening = real_opening(plan, _state(options), latest=True, called_as=_called_as(options))
    return asyncio.run(take_back(opening, operator, plan, _say, to=options.to))


def _operator(plan: Plan, *, unattended: bool) -> Operator:
    """Return who answers: the terminal, or nobody, which is for databases on this machine only."""
    import getpass

    from tekup_migrate.asking import TerminalOperator
    from tekup_migrate.real import require_loopback
    from tekup_migrate.unattended import UnattendedOperator

    if not unattended:
        return TerminalOperator(ask=input, ask_hidden=getpass.getpass, write=_say)
    require_loopback(plan)
    return UnattendedOperator()


def _called_as(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the program and options with which a terminal reaches the same plan and runs again."""
    plan = () if options.plan == BUILT_IN else ("--plan", str(options.plan.absolute()))
    state = () if options.state is None else ("--state", str(options.state.absolute()))
    return ("tekup-migrate", *plan, *state)


def _backups(plan: Plan, options: argparse.Namespace) -> int:
    _end_on_sigterm()
    return carry_out_backups(_backups_desk(plan, options, unattended=False), options)


def _restore(plan: Plan, options: argparse.Namespace) -> int:
    _end_on_sigterm()
    return carry_out_restore(_backups_desk(plan, options, unattended=options.unattended), options)


def _backups_desk(plan: Plan, options: argparse.Namespace, *, unattended: bool) -> Desk:
    operator = _operator(plan, unattended=unattended)
    return Desk(plan, _state(options), _called_as(options), operator, _say, _print_json)


def _verify(plan: Plan, options: argparse.Namespace) -> int:
    import asyncio

    from tekup_migrate.real import verify

    evidence = asyncio.run(verify(plan, _state(options)))
    if options.json:
        _print_json(evidence)
    else:
        print("\n".join((f"{evidence.verdict.value}: {evidence.summary}", *evidence.facts)))
    return _VERIFY_CODES[evidence.verdict.value]


def _credentials(plan: Plan, options: argparse.Namespace) -> int:
    import asyncio

    from tekup_migrate.credentials_command import Desk, carry_out

    desk = Desk(plan=plan, state=_state(options), write=_say, write_json=_print_json, stdin=sys.stdin)
    return asyncio.run(carry_out(desk, options))


def _state(options: argparse.Namespace) -> Path:
    if options.state is not None:
        return Path(options.state)
    from platformdirs import user_state_path

    return user_state_path("tekup-migrate", appauthor=False)


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _plan(plan: Plan, options: argparse.Namespace) -> int:
    from tekup_migrate.overview import plan_lines, planned

    if options.json:
        _print_json(planned(plan))
    else:
        print("\n".join(plan_lines(plan)))
    return 0


def _status(plan: Plan, options: argparse.Namespace) -> int:
    from tekup_migrate.overview import run_status, status_lines

    status = run_status(plan, _state(options))
    if options.json:
        _print_json(status)
    else:
        print("\n".join(status_lines(status)))
    return 0


def _report(plan: Plan, options: argparse.Namespace) -> int:
    from tekup_migrate.overview import latest_report
    from tekup_migrate.report.document import to_json, to_markdown, write_report

    report = latest_report(plan, _state(options))
    text = to_json(report) if options.format == "json" else to_markdown(report)
    if options.output is None:
        print(text, end="")
    else:
        write_report(options.output, text)
    return 0
