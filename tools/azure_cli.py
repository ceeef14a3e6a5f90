"""Holds every ``az`` command of the pages to the Azure CLI itself, without a sign-in and without the network.

    .venv-azure-cli/bin/python -m tools.azure_cli FILE      # what tests/docs/azure_blocks.py has written down

Each command is run by the pinned Azure CLI as a user who is signed in, up to the first request that it would send.
So its name, its options, their values, ``--query``, the CLI's own checks and its questions have been passed. Of a
command that a text only mentions, name and options must be in the CLI's help. What is not is printed, and the exit code
is 1. Commands of EXTENSIONS are not in the CLI and only counted.
"""

import contextlib
import io
import itertools
import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar, NoReturn

EXTENSIONS = ("monitor app-insights",)
# They end without a request: what they answer is on the machine.
ANSWERED_HERE = ("account show", "account clear")
WRITTEN_BY = ("download", "backup")  # what --file names is made by these, and must be there for others
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
# The Azure CLI refuses each of these; where it does not, nothing was looked at.
REFUSED = (
    "keyvault nothing",
    "keyvault show --name v --nothing",
    "keyvault secret show --name s",
    "keyvault list --query [0].a-b",
    "aks update --name a --resource-group g --tier nothing",
    "group delete --name g",
)
TEMPLATE = {"$schema": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#"}
REPOSITORY = Path(__file__).parents[1]


class Sent(BaseException):
    """A command has come as far as its first request; few handlers of the CLI catch it, and ``requests`` has it."""

    requests: ClassVar[list[str]] = []

    def __init__(self, request: str) -> None:
        """Note the request."""
        super().__init__(request)
        self.requests.append(request)


class Credential:
    """Gives out tokens that no service is ever shown."""

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        """Return a token."""
        from azure.core.credentials import AccessToken  # noqa: PLC0415 - in the environment of the CLI only

        return AccessToken("none", 2**32)

    def get_token_info(self, *_scopes: str, **_options: Any) -> Any:
        """Return a token."""
        from azure.core.credentials import AccessTokenInfo  # noqa: PLC0415 - in the environment of the CLI only

        return AccessTokenInfo("none", 2**32)

    def acquire_token(self, *_scopes: Any, **_options: Any) -> dict[str, Any]:
        """Return a token, as MSAL does."""
        return {"access_token": "none", "expires_in": 3600}


def sign_in_and_unplug() -> None:
    """Let the CLI believe that a user is signed in, and end every request before it is sent."""
    import urllib.request  # noqa: PLC0415 - replaced here

    import requests  # noqa: PLC0415 - in the environment of the CLI only
    from azure.cli.core import util  # noqa: PLC0415 - in the environment of the CLI only
    from azure.cli.core._profile import Profile  # noqa: PLC0415 - in the environment of the CLI only
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - in the environment of the CLI only

    user = {"name": "dana@example.com", "type": "user"}
    account = {"id": SUBSCRIPTION, "tenantId": SUBSCRIPTION, "user": user, "environmentName": "AzureCloud"}
    Profile.get_login_credentials = lambda *_, **__: (Credential(), SUBSCRIPTION, SUBSCRIPTION)
    Profile.get_raw_token = lambda *_, **__: (("Bearer", "none", {"expires_on": 2**32}), SUBSCRIPTION, SUBSCRIPTION)
    Profile.get_subscription_id = lambda *_, **__: SUBSCRIPTION
    Profile.get_subscription = lambda *_, **__: account
    Profile.get_current_account_user = lambda *_: user["name"]

    util.check_connectivity = lambda **_: False  # asked for before a command is looked at

    def sent(_self: object, request: Any, *_: Any, **__: Any) -> NoReturn:
        raise Sent(f"{request.method} {request.url}")

    def opened(url: Any, *_: Any, **__: Any) -> NoReturn:
        raise Sent(str(url))

    for kind in (RequestsTransport, requests.Session):
        setattr(kind, "send", sent)  # noqa: B010 - typed otherwise
    urllib.request.urlopen = opened


def stopped(words: list[str]) -> str | None:
    """Return why this command ends before its first request; None where it gets there."""
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["AZURE_CONFIG_DIR"] = f"{temporary}/.azure"
        folder = Path(temporary)
        for name in ("docs", "infra"):
            (folder / name).symlink_to(REPOSITORY / name)
        _bring_files(words, folder)
        code, said = _run(words, folder)
    here = code == 0 and " ".join(words).startswith(ANSWERED_HERE)
    return None if Sent.requests or here else f"ended {code}: {said[:500]}"


def unknown(words: list[str]) -> str | None:
    """Return what the CLI's help does not have of a command that is mentioned; None where it has all of it."""
    command = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    code, said = _run([*command, "--help"], Path.cwd())
    missing = [word for word in words if word.startswith("--") and not re.search(rf"{word}\b", said)]
    return f"ended {code}: {missing}" if code or missing else None


def _run(words: list[str], folder: Path) -> tuple[object, str]:
    """Run a command up to its first request; return the exit code and what it wrote."""
    from azure.cli.core import get_default_cli  # noqa: PLC0415 - in the environment of the CLI only

    said, code = io.StringIO(), object()
    Sent.requests.clear()
    for name in (None, "cli"):
        logging.getLogger(name).handlers.clear()  # each of them keeps the standard error of its first command
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = get_default_cli().invoke(words, out_file=said)
    except Sent:
        code = 0
    except SystemExit as ended:
        code = ended.code
    return code, said.getvalue()


def _bring_files(words: list[str], folder: Path) -> None:
    """Put what the command reads into the folder, as far as the repository does not have it."""
    for option, name in itertools.pairwise(words):
        path = folder / name.removeprefix("@")
        reads = option in ("--file", "--src", "--template-file") and not set(WRITTEN_BY) & set(words)
        if (reads or name.startswith("@")) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**TEMPLATE, "contentVersion": "1.0.0.0", "parameters": {}, "resources": []}))


def main(file: Path) -> int:
    """Try every command of the file; return the exit code."""
    os.environ |= {"AZURE_CORE_COLLECT_TELEMETRY": "no", "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no"}
    os.environ |= {"AZURE_CORE_NO_COLOR": "yes", "AZURE_CORE_ONLY_SHOW_ERRORS": "yes"}
    asked = json.loads(file.read_text())
    known = [each for each in asked if not " ".join(each["words"]).startswith(EXTENSIONS)]
    sign_in_and_unplug()
    wrong = [f"was to be refused: az {command}" for command in REFUSED if stopped(command.split()) is None]
    for each in known:
        why = (stopped if each["whole"] else unknown)(each["words"])
        if why is not None:
            wrong.append(f"{each['where']}: az {' '.join(each['words'])}\n    {why}")
    print("\n".join(wrong or ["all of them are the Azure CLI's"]))
    print(f"{len(known)} commands, {len(asked) - len(known)} more of extensions, {len(wrong)} wrong")
    return 1 if wrong or not known else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
