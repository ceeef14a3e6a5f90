"""Named contexts in ``~/.config/keyturn/config.toml``: which app is called, and how the caller is known to it.

No secret is stored: a context says where the function key is, in a variable or in a file that only its owner reads.
Variables of the environment win over the context, and a context's credentials go to its own app alone.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from keyturn.errors import InvalidRequestError, SettingsError

URL = "KEYTURN_URL"
FUNCTION_KEY = "KEYTURN_FUNCTION_KEY"
TOKEN_SCOPE = "KEYTURN_TOKEN_SCOPE"  # noqa: S105 - name of a variable
CONTEXT = "KEYTURN_CONTEXT"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HTTPS = "the app's URL, https:// (http:// only where the host is loopback)"
# Another mode would let other users read or write it.
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO
_OPTIONS = frozenset({"keyring", "by"})  # of commands, which a context may give
WITHOUT_THE_APP = frozenset({"direct", "key-backup"})  # commands that take their keyrings from the app's settings


@dataclass(frozen=True)
class Context:
    """One app, and the caller; the fields are the members in the file, and empty where there is none."""

    url: str = ""
    token_scope: str = ""
    keyring: str = ""
    by: str = ""
    function_key_env: str = ""  # name of a variable
    function_key_file: str = ""

    def function_key(self) -> str | None:
        """Return the function key from where the context says that it is; raises SettingsError, never with the key."""
        if name := self.function_key_env:
            if not (key := os.environ.get(name)):
                raise SettingsError(f"{name}: expected a function key", variable=name, expected="a function key")
            return key
        return _private_text(Path(self.function_key_file).expanduser()) if self.function_key_file else None


@dataclass(frozen=True)
class Config:
    """The file: its contexts by name, and the one that is used where none is named."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def context(self, name: str | None) -> Context:
        """Return the context of this name, or the current one; an empty one where there is none at all."""
        chosen = name or self.current
        if not chosen:
            return Context()
        if chosen not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none yet: keyturn login --help"
            raise InvalidRequestError.expected("context", f"a context: {known}", named=f"--context {chosen}")
        return self.contexts[chosen]


class Target(NamedTuple):
    """The app that is called, and what makes the caller known to it."""

    url: str
    function_key: str | None
    token_scope: str | None


CHOSEN: ContextVar[Context] = ContextVar("context")


def config_file() -> Path:
    """Return where the contexts are kept, as the XDG Base Directory Specification has it."""
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))  # a relative path is invalid there
    return (base if base.is_absolute() else Path.home() / ".config") / "keyturn" / "config.toml"


def read_config() -> Config:
    """Return what the file holds; raises SettingsError naming the file and the member that is off."""
    try:
        file = config_file()
        found = tomllib.loads(file.read_text())
    except (FileNotFoundError, RuntimeError):  # RuntimeError: the user has no home
        return Config()
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{file}: {text}", variable=str(file), expected="a TOML file that can be read") from error
    current, contexts = found.get("current", ""), found.get("contexts", {})
    if not isinstance(current, str) or not isinstance(contexts, dict):
        raise _off(file, "current and contexts", "the name of a context, and a table of contexts")
    return Config(current, {name: _context(file, name, members) for name, members in contexts.items()})


def write_config(config: Config) -> None:
    """Write the file anew, for its owner alone; raises SettingsError where it cannot be written."""
    lines = [f"current = {_toml(config.current)}"]
    for name, context in sorted(config.contexts.items()):
        stated = ((member, value) for member, value in asdict(context).items() if value)
        lines += ["", f"[contexts.{_toml(name)}]", *(f"{member} = {_toml(value)}" for member, value in stated)]
    file = config_file()
    written = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write("\n".join(lines) + "\n")
        written.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", variable=str(file), expected="a file to write") from error


def target() -> Target:
    """Return the app and the credentials of the environment, and of the chosen context where it has none.

    Raises:
        SettingsError: there is no such app, or the function key is not where the context says.
    """
    context, stated = CHOSEN.get(Context()), os.environ.get(URL, "").rstrip("/")
    own = context if stated in ("", context.url.rstrip("/")) else Context()
    url = require_url(stated or own.url, URL)
    scope = os.environ.get(TOKEN_SCOPE) or own.token_scope or None
    return Target(url, os.environ.get(FUNCTION_KEY) or own.function_key(), scope)


def require_url(url: str, variable: str) -> str:
    """Return the URL without a slash at its end; raises SettingsError unless a key may be sent there."""
    parts = urlsplit(url)
    if not parts.hostname or (parts.scheme, parts.hostname in _LOOPBACK) not in {
        ("https", True),
        ("https", False),
        ("http", True),
    }:
        hint = "" if url else "set it, or name the app once and for all: keyturn login --help"
        raise SettingsError(f"{variable}: expected {_HTTPS}", variable=variable, expected=_HTTPS, hint=hint)
    return url.rstrip("/")


def defaults(command: Any, context: Context) -> dict[str, Any]:
    """Return the context's values for options of the command and of those below it, for those who give none.

    An option that must be given is left out: what it names is too grave to be taken from a file.
    """
    below = {
        name: defaults(one, context)
        for name, one in getattr(command, "commands", {}).items()
        if name not in WITHOUT_THE_APP
    }
    given = {name: value for name, value in asdict(context).items() if name in _OPTIONS and value}
    own = {one.name: given[one.name] for one in command.params if one.name in given and not one.required}
    return {**below, **own}


def _context(file: Path, name: str, members: Any) -> Context:
    known = [one.name for one in fields(Context)]
    if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
        raise _off(file, f"contexts.{name}", f"texts, by the names {', '.join(known)}")
    if unknown := sorted(set(members) - set(known)):
        raise _off(file, f"contexts.{name}.{unknown[0]}", f"one of {', '.join(known)}")
    return Context(**members)


def _off(file: Path, member: str, expected: str) -> SettingsError:
    return SettingsError(f"{file}: {member}: expected {expected}", variable=member, expected=expected)


def _toml(text: str) -> str:
    """Return a TOML basic string; raises InvalidRequestError for what is not printed, which no name or URL needs."""
    if not text.isprintable():
        raise InvalidRequestError.expected("context", "characters that can be printed")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _private_text(file: Path) -> str:
    expected = "a file with a function key that only its owner can read"
    try:
        with file.open() as opened:
            if os.fstat(opened.fileno()).st_mode & _PRIVATE:
                hint = f"chmod 600 {quote(str(file))}"
                raise SettingsError(f"{file}: expected {expected}", variable=str(file), expected=expected, hint=hint)
            text = opened.read().strip()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", variable=str(file), expected=expected) from error
    if not text:
        raise SettingsError(f"{file}: expected {expected}", variable=str(file), expected=expected)
    return text
