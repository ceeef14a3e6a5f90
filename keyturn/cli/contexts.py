"""``login``, ``contexts`` and ``open``: which app is called, who the caller is to it, and its console in a browser."""

import base64
import json
import os
import webbrowser
from dataclasses import asdict, replace
from shlex import quote
from typing import Annotated, Any
from urllib.parse import quote as url_quote
from urllib.parse import urljoin

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.config import (
    CHOSEN,
    CONTEXT,
    FUNCTION_KEY,
    URL,
    WITHOUT_THE_APP,
    Config,
    Context,
    config_file,
    defaults,
    read_config,
    require_url,
    target,
    write_config,
)
from keyturn.cli.output import AsJson, echo, write
from keyturn.cli.rotations import By
from keyturn.errors import InvariantError, SettingsError, UnknownKeyringError

CONSOLE = "/api/console"
_DEFAULT = "default"
# Commands that make contexts, and those that go without the app: a file that is broken must not keep them from working.
_WITHOUT_A_CONTEXT = frozenset({"login", "contexts", *WITHOUT_THE_APP})
# The claims of an access token that name its holder, best first; a program has its client id alone.
_NAMES = ("preferred_username", "upn", "email", "name", "azp", "appid")


def _complete(incomplete: str) -> list[str]:
    return [name for name in read_config().contexts if name.startswith(incomplete)]


Chosen = Annotated[
    str | None,
    typer.Option(
        envvar=CONTEXT, metavar="NAME", autocompletion=_complete, help="which app; keyturn contexts lists them"
    ),
]


def choose(ctx: typer.Context, name: str | None) -> None:
    """Use the named context, or the current one, from here on; raises InvalidRequestError listing the valid names."""
    if ctx.resilient_parsing or (name is None and ctx.invoked_subcommand in _WITHOUT_A_CONTEXT):
        return
    context = read_config().context(name)
    CHOSEN.set(context)
    ctx.default_map = defaults(ctx.command, context)
    stated = os.environ.get(URL, "").rstrip("/")
    if name and stated not in ("", context.url):
        echo(f"note: {URL}={stated} wins over the context {name}; to use the context: unset {URL}", err=True)


def login(
    name: Annotated[str | None, typer.Argument(help="of the context; the current one, unless given")] = None,
    url: Annotated[str | None, typer.Option(envvar=URL, help="the app's address")] = None,
    token_scope: Annotated[
        str | None, typer.Option(help="where people sign in with Entra ID: api://<client id>/.default")
    ] = None,
    keyring: Annotated[str | None, typer.Option(help="the keyring, where commands name none")] = None,
    by: Annotated[str | None, typer.Option(help="who you are; not needed where people sign in")] = None,
    function_key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="name of the variable that holds the function key")
    ] = None,
    function_key_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="file that holds the function key; only its owner may read it")
    ] = None,
) -> None:
    """Write a context, once the app has answered and knows who calls; options that are not given stay as they were."""
    config = read_config()
    named = name or config.current or _DEFAULT
    known = config.contexts.get(named, Context())
    given = {"url": url, "token_scope": token_scope, "keyring": keyring, "by": by}
    given |= {"function_key_env": function_key_env, "function_key_file": function_key_file}
    context = replace(known, **{member: value for member, value in given.items() if value is not None})
    context = replace(context, url=require_url(context.url, "--url"))
    if os.environ.get(URL, "").rstrip("/") not in ("", context.url):
        expected = f"no other app than {context.url}, because it wins over every context"
        raise SettingsError(f"{URL}: expected {expected}", variable=URL, expected=expected, hint=f"unset {URL}")
    CHOSEN.set(context)
    for line in ask(lambda api: _introduce(api, context)):
        echo(line)
    write_config(Config(named, {**config.contexts, named: context}))
    echo(f"context {named}: {context.url}, in {config_file()}")


async def _introduce(api: Api, context: Context) -> list[str]:
    """Return who the caller is to the app, in lines.

    Raises:
        InvariantError: something answers that is not the app.
        UnauthenticatedError, ForbiddenError: the app does not know the caller, or gives them nothing to do.
        UnknownKeyringError: the context's keyring is none of the app's.
    """
    health = await api.get("/api/health")
    if not isinstance(health, dict) or health.get("status") != "ok":
        raise InvariantError(f"{api.url} is not the app", hint=f"compare {URL} with the app's address")
    keyrings = [str(found["keyring"]) for found in (await api.get("/api/keyrings"))["keyrings"]]
    if context.keyring and context.keyring not in keyrings:
        raise UnknownKeyringError(
            f"--keyring {context.keyring}: the app's are {', '.join(keyrings)}", keyring=context.keyring, known=keyrings
        )
    if api.tokens is not None:
        claims = _claims(await api.tokens.get())
        name = next((str(claims[claim]) for claim in _NAMES if claims.get(claim)), "unnamed")
        caller = f"you are {name}, with the roles {', '.join(map(str, claims.get('roles', []))) or 'none'}"
    else:
        stated = context.by or os.environ.get("KEYTURN_BY")
        caller = f"you are known by a function key, and act as {stated or 'whomever --by names'}"
    return [caller, f"keyrings: {', '.join(keyrings)}"]


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of our own access token, which the app checks; empty where it is opaque."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def contexts(
    use: Annotated[str | None, typer.Option(metavar="NAME", autocompletion=_complete, help="from now on")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the contexts; the one that is used is marked."""
    config = read_config()
    if use is not None:
        config.context(use)
        config = replace(config, current=use)
        write_config(config)
    if as_json:
        listed = {
            name: {key: value for key, value in asdict(found).items() if value}
            for name, found in config.contexts.items()
        }
        write({"current": config.current or None, "contexts": listed}, as_json=True)
        return
    if not config.contexts:
        echo("no contexts yet: keyturn login --help", err=True)
    for name, found in sorted(config.contexts.items()):
        key = found.function_key_env or found.function_key_file
        how = f"signs in for {found.token_scope}" if found.token_scope else f"key in {key or FUNCTION_KEY}"
        echo(f"{'*' if name == config.current else ' '} {name}  {found.url}  {how}")


def open_console(
    run: Annotated[str | None, typer.Argument(help="the page of this run; all keyrings, unless given")] = None,
    by: By = None,
    *,
    browser: Annotated[bool, typer.Option("--browser", help="open it in a browser, too")] = False,
) -> None:
    """Write a link to the console; without a sign-in it is good for a short time, and for whoever has it."""
    called = target()
    page = f"{CONSOLE}/runs/{url_quote(run, safe='')}" if run else CONSOLE
    url = called.url + page
    if called.token_scope is None:
        answer = ask(lambda api: api.post(f"{CONSOLE}/links", {"requestedBy": by, "runId": run}))
        url = urljoin(f"{called.url}/", str(answer["url"]))
        if answer.get("expiresAt"):
            echo(f"good until {answer['expiresAt']}, for whoever has it: do not pass it on", err=True)
    echo(url)
    if browser and not webbrowser.open(url):
        echo(f"no browser was found: open it yourself, for example with xdg-open {quote(url)}", err=True)
