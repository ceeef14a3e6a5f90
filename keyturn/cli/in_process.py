"""A command in this process, without the app: its clients, its progress, and the errors of others as Keyturn's own.

Every command that asks Azure itself runs in :func:`run_here`, so that each fails in the same words. Progress goes to
standard error: a bar on a terminal, lines elsewhere.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from keyturn.cli.output import echo
from keyturn.errors import (
    FencedError,
    KeyturnError,
    MigrationRunningError,
    OperatorError,
    RotationRunningError,
    RowsLeftError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from keyturn.direct.session import Direct, Progress

INTERRUPTED = 130  # as shells tell a Ctrl-C
SETTINGS_HINT = (
    'with azd\'s values exported: az functionapp config appsettings list --resource-group "$AZURE_RESOURCE_GROUP" '
    '--name "$SERVICE_API_NAME" > app-settings.json; then the same command with --settings app-settings.json'
)

_FILE = "with the app's settings, as MEK_ROTATION.md makes that file: On the operator's machine"
ENVIRONMENT_HINT = f"set -a; . ./keyturn.env; set +a    # {_FILE}"
STOPPED = "stopped; nothing is lost: the same command goes on"

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="the app's settings; the environment's, unless given")
]


# Commands of ``direct`` that the app's command line has under the same names.
IN_BOTH = ("abort", "diagnose", "reinstate", "rollback", "verify")
_IN_BOTH = re.compile(rf"\bkeyturn (?=(?:{'|'.join(IN_BOTH)})\b)")


class Shown:
    """What goes on, on standard error: a bar where a person looks at a terminal, else a line a wave."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Bar(*columns, console=console) if console.is_terminal else None
        self._task = self._bar.add_task("rows", total=None, visible=False) if self._bar is not None else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, told: "str | Progress") -> None:
        """Show a line, or how far a pass is."""
        if isinstance(told, str):
            echo(told, err=True)
            return
        named = f"pass {told.pass_number}" + (f", {told.quarantined} cannot be moved" if told.quarantined else "")
        if self._bar is not None and self._task is not None:
            total = max(told.total, told.done)
            self._bar.update(self._task, description=named, visible=True, completed=told.done, total=total)
        else:
            echo(f"{named}: {told.done} of {told.total} rows moved", err=True)


def run[T](file: Path | None, work: "Callable[[Direct], Awaitable[T]]") -> T:
    """Return what the work returns; shows how far it is. The hints of what it raises need no app, where that is."""
    try:
        with Shown() as shown:
            return run_here(_opened(file, shown, work), unset=SETTINGS_HINT)
    except KeyturnError as error:
        holder = error.facts.get("rotationId") or error.facts.get("migrationId")
        if isinstance(error, RowsLeftError):
            for row in error.facts["named"]:
                echo(f"{row['id']}  {row['reason']}  {row['mekVersion'] or 'no version'}", err=True)
        elif isinstance(error, FencedError) and holder:
            error.hint = error.hint or f"another process, or the app, went on with the run: keyturn watch {holder}"
        elif isinstance(error, RotationRunningError | MigrationRunningError) and holder:
            error.hint = f"end it: keyturn direct abort {holder}; or wait for it: keyturn watch {holder}"
        error.hint = in_direct(error.hint)
        raise


def in_direct(text: str) -> str:
    """Return the text with the commands of ``direct`` in place of those of the same name that ask the app."""
    return _IN_BOTH.sub("keyturn direct ", text)


def without_app() -> str:
    """Return what names the command of ``direct`` that does what the one under way does, or else their list."""
    from typer._click.globals import get_current_context

    command = ["direct", "--help"]
    context = get_current_context(silent=True)
    if context is not None:
        names = context.command_path.split()[1:]
        names = ["rewrap"] if names == ["migrate", "rewrap-deks"] else names
        twin: Any = context.find_root().command
        for name in ("direct", *names):
            twin = getattr(twin, "commands", {}).get(name)
        if twin is not None:
            command = ["direct", *names, *_arguments(context, twin)]
    return f"without the app: keyturn {' '.join(command)}"


def _arguments(context: Any, twin: Any) -> list[str]:
    """Return the arguments of the command under way, and those of its options that its twin has too."""
    given = context.params
    own = [given[one.name] for one in context.command.params if one.param_type_name == "argument"]
    words = [quote(value) for value in own if value is not None]
    for option in twin.params:
        value = given.get(option.name)
        if option.param_type_name == "option" and value not in (None, False, option.default):
            words += [option.opts[0]] if value is True else [option.opts[0], quote(str(value))]
    return words


def run_here[T](work: Coroutine[Any, Any, T], *, stopped: str = STOPPED, unset: str = ENVIRONMENT_HINT) -> T:
    """Return what the work returns, with the errors of others as Keyturn's own.

    ``stopped`` is told of a Ctrl-C, ``unset`` where a setting is missing.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    from field_encrypt import FieldEncryptError, RetryError

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        echo(stopped, err=True)
        raise typer.Exit(INTERRUPTED) from None
    except SettingsError as error:
        if error.facts.get("value") is None:
            error.hint = error.hint or unset
        raise
    except KeyturnError:
        raise
    except ClientAuthenticationError as error:
        hint = "az login, or any other sign-in of DefaultAzureCredential"
        raise UnauthenticatedError("no credential gave a token", hint=hint) from error
    except (RetryError, AzureError, OSError, TimeoutError) as error:
        raise UnavailableError(f"met {type(error).__name__}", hint="run the same command again: it goes on") from error
    except FieldEncryptError as error:
        raise OperatorError(f"{type(error).__name__}: {error}") from error


async def _opened[T](
    file: Path | None, tell: "Callable[[str | Progress], None]", work: "Callable[[Direct], Awaitable[T]]"
) -> T:
    from keyturn.direct.session import opened

    async with opened(dict(os.environ), file, tell) as direct:
        return await work(direct)
