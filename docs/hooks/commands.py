"""The reference of the command `peer`, out of its parser: what `--help` prints, as a page."""

import argparse
import html
import re
from collections.abc import Iterator

from coterie.peer import errors
from coterie.peer.cli.main import parser

_HEAD = """# Commands

What `peer COMMAND --help` prints, made from the same parser. The [user guide](../guide.md) says what each is
for; [operations](../operations.md) what to do about what they print.

"""

_LONG_USAGE = 6
"""Lines."""


def page() -> str:
    """Return the page, in Markdown."""
    top = parser()
    parts = [_HEAD, *_overview(top)]
    for name, command in _subcommands(top):
        parts += _command(name, command, level=2)
    parts += _exit_codes(top)
    return "\n".join(parts)


def _subcommands(command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _summaries(command: argparse.ArgumentParser) -> dict[str, str]:
    """The line of each subcommand in the list that `--help` prints."""
    return {
        one.dest: one.help or ""
        for action in command._actions
        if isinstance(action, argparse._SubParsersAction)
        for one in action._choices_actions
    }


def _overview(top: argparse.ArgumentParser) -> Iterator[str]:
    yield "| command | what it does |"
    yield "| --- | --- |"
    for name, summary in _summaries(top).items():
        yield f"| [`peer {name}`](#peer-{name}) | {_text(summary)} |"
    yield ""


def _command(name: str, command: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} peer {name}\n"
    yield f"{_text(command.description or '')}\n"
    inner = list(_subcommands(command))
    usage = command.format_usage().strip()
    if not inner and usage.count("\n") < _LONG_USAGE:  # a longer one says nothing that the tables do not say better
        yield f"```text\n{usage}\n```\n"
    for group in command._action_groups:
        yield from _options(command, group)
    if command.epilog:
        yield f"{_text(command.epilog)}\n"
    for inner_name, one in inner:
        yield from _command(f"{name} {inner_name}", one, level + 1)


def _options(command: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> Iterator[str]:
    formatter = command._get_formatter()
    rows = []
    for action in group._group_actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        told = "" if action.help is None else formatter._expand_help(action)
        rows.append(f"| {_name(action, formatter)} | {_text(told)} |")
    if rows:
        title = {"options": "option", "positional arguments": "argument"}.get(group.title or "", group.title or "")
        yield f"| {_text(title)} | |\n| --- | --- |"
        yield from rows
        yield ""


def _name(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """Name and value of an option, as `--help` writes them."""
    if not action.option_strings:
        (name,) = formatter._metavar_formatter(action, action.dest)(1)
        return _code(name)
    if action.nargs == 0:
        return ", ".join(map(_code, action.option_strings))
    value = formatter._format_args(action, action.dest.upper())
    return ", ".join(_code(f"{one} {value}") for one in action.option_strings)


def _exit_codes(top: argparse.ArgumentParser) -> Iterator[str]:
    yield "## Exit codes\n"
    yield "A number never changes its meaning, so scripts may rely on it.\n"
    yield "| code | meaning |\n| --- | --- |"
    for code in errors.Exit:
        yield f"| {code.value} | {_text(code.meaning)} |"
    for line in (top.epilog or "").splitlines():
        code, _, meaning = line.strip().partition("  ")
        if code.isdigit() and int(code) > max(errors.Exit):
            yield f"| {code} | {_text(meaning)} |"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    """A text of the parser as it is, whatever Markdown would make of its signs; `quoted` words stay code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part.replace("|", r"\|") if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"[*_|\[\]#~:\\]", lambda match: f"&#{ord(match[0])};", html.escape(text, quote=False))
