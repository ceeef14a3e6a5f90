"""Where a command takes a secret from: a file or the environment, never the command line, which others can read."""

import os
from pathlib import Path

from keyturn.errors import SettingsError


def signing_secret(file: Path | None, variable: str) -> str:
    """Return the first webhook secret of the file, or of the variable where there is no file.

    Raises:
        SettingsError: there is none; it never tells what was found.
    """
    from pydantic import SecretStr

    from keyturn.settings.signing import signing_secrets

    try:
        text = file.read_text() if file is not None else os.environ.get(variable, "")
        return signing_secrets(SecretStr(text))[0]
    except (OSError, ValueError) as error:
        expected = "a file that can be read" if isinstance(error, OSError) else str(error).removeprefix("expected ")
        raise SettingsError(f"{file or variable}: expected {expected}", variable=variable, expected=expected) from None
