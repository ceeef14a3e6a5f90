"""Every text of the code that names a command of ours, and every hint, as the source has them."""

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from typer._click.exceptions import NoArgsIsHelpError
from typer.main import get_command

from keyturn.cli.__main__ import app
from keyturn.diagnosis.models import Verdict
from local.supervisor.layout import REPOSITORY

# Texts in which our name is followed by a word that is no command.
NO_COMMANDS = {
    "the keyturn container",
    "keyturn field_encrypt triggers",  # the names of loggers
    "keyturn field_encrypt triggers activities orchestrators",
}
# Where only one keyring is: on a local Azure, and where the command line was told none and did what it was told.
OF_ONE_KEYRING = {
    *("keyturn rotate", "keyturn rotate --wait", "keyturn rotate --dry-run", "keyturn rotate --dry-run --wait"),
    *("keyturn restore", "keyturn direct versions"),
}
PACKAGES = ("keyturn", "field_encrypt", "triggers", "local")
# A command goes on to the end of the line, or to the next remark.
COMMAND = re.compile(r"(?<![\w./-])keyturn(?= [a-z])[^;\n(]*")
# By what a placeholder's source says: what stands there when a command is tried.
PLACEHOLDERS = {
    "digest": "DIGEST",
    "keyring": "KEYRING",
    "document": "DOCUMENT",
    "container": "CONTAINER",
    "description.name": "CONTAINER",
    "dek": "DEK",
    "item": "DEK",
    "named[0]": "DEK",
    "current": "VERSION",
    "file": "FILE",
    "output": "FILE",
    "variable": "VARIABLE",
    "run": "RUN",
    "rotation": "RUN",
    "holder": "RUN",
}


class Said(NamedTuple):
    """A text and where it stands."""

    where: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands in it."""
        return [found[0].strip().rstrip(".,`") for found in COMMAND.finditer(self.text)]


def texts() -> list[Said]:
    """Return every text that holds a command, docstrings and the help of options left out; next steps among them."""
    found = all_texts()
    found += [Said(f"Verdict.{one.name}", one.next_step.replace("DEK_ID", "DEK")) for one in Verdict]
    return [said for said in found if said.commands and said.text not in NO_COMMANDS]


def all_texts() -> list[Said]:
    """Return every text of the code, docstrings and the help of options left out."""
    return [Said(where, text) for where, tree in _trees() for text in _strings(tree)]


def hints() -> list[Said]:
    """Return every text that is given as a hint."""
    found: list[Said] = []
    for where, tree in _trees():
        for node in ast.walk(tree):
            given = node.value if isinstance(node, ast.keyword) and node.arg == "hint" else None
            if isinstance(node, ast.Assign) and any(ast.unparse(target).endswith("hint") for target in node.targets):
                given = node.value
            if given is not None:
                found += [
                    Said(where, text)
                    for text in _strings(given)
                    if " " in text.strip() and text.strip("( )") != "VALUE"
                ]
    return found


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            yield str(Path(path).relative_to(REPOSITORY)), ast.parse(path.read_text())


def _strings(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of the tree, with placeholders filled; neither docstrings nor the help of options."""
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    left_out |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "help"}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in left_out | inside:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.List | ast.Tuple) and [ast.unparse(word) for word in node.elts[:1]] == ["'keyturn'"]:
            yield " ".join(_part(word) for word in node.elts)  # a command that is quoted when it is written


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    source = ast.unparse(part).lower()
    return next((value for name, value in PLACEHOLDERS.items() if name in source), "VALUE")


def filled(command: str, values: Mapping[str, str]) -> list[str]:
    """Return the words of a command after ``keyturn``, its placeholders replaced by these values."""
    return [values.get(word, word) for word in shlex.split(command)[1:]]


def parse(words: list[str]) -> Any:
    """Return a command as the command line parses it, without running it; raises what typer raises.

    None of ``--help``, and of a group of commands, whose name shows its help.
    """
    if words[-1] == "--help":
        words = words[:-1]
    command: Any = get_command(app)
    context = command.make_context("keyturn", list(words))
    with suppress(NoArgsIsHelpError):
        return _descend(command, context)
    return None


def _descend(command: Any, context: Any) -> Any:
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context


def known_commands() -> set[str]:
    """Return the names of all commands at the top."""
    return set(getattr(get_command(app), "commands", {}))
