"""The rehearsal of a first deployment: live checks in their order, and the report of what came of them.

The checks are data: ``live_checks.toml`` beside this file. docs/first-deployment.md shows the same list.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from keyturn.contracts.characters import visible
from keyturn.errors import InvalidRequestError
from keyturn.preflight.results import CheckResult, Outcome

ACCOUNT = "KEYTURN_COSMOS_RESOURCE_ID"
# What a report calls the outcomes: what was not seen has not passed.
WORDS = {Outcome.OK: "passed", Outcome.WARNING: "warning", Outcome.PROBLEM: "FAILED", Outcome.UNCHECKED: "not run"}
_IDS = r"https?://[^/\s]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"


class LiveCheck(BaseModel):
    """One step of the rehearsal; ``proves`` are ids of docs/assumptions.md, each of which stands in one step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    run: Literal["doctor", "probe", "hand", "never"]  # never: only an accident shows it, and commands say where
    proves: tuple[str, ...]
    cost: str
    undo: str
    commands: str = ""

    def described(self, number: int, resource_group: str) -> str:
        """Return the step in Markdown, with the commands for this group."""
        told = f"### {number}. {self.title} (`{self.id}`)\n\nCost: {self.cost} Undo: {self.undo}"
        commands = self.commands.replace("{resource_group}", resource_group).strip()
        return f"{told}\n\n```sh\n{commands}\n```" if commands else told


_DATA = tomllib.loads(Path(__file__).with_name("live_checks.toml").read_text())
LIVE_CHECKS = tuple(LiveCheck(**step) for step in _DATA["check"])
BY_HAND = tuple(name for step in LIVE_CHECKS if step.run in ("hand", "never") for name in step.proves)


def require_throwaway(environment: Mapping[str, str], resource_group: str) -> None:
    """Raise InvalidRequestError unless the settings are those of a deployment in the group that may be thrown away."""
    if f"/resourcegroups/{resource_group}/".lower() not in environment.get(ACCOUNT, "").lower():
        expected = f"the group in which the database account is, as {ACCOUNT} says"
        raise InvalidRequestError.expected("resourceGroup", expected, named="--resource-group")


# The settings whose values name something of the deployment, and the names that every deployment has by default.
_URLS = ("AZURE_KEYVAULT_URL", "COSMOS_ENDPOINT", "KEYTURN_PUBLIC_URL", "KEYTURN_URL")
_NAMES = ("COSMOS_DATABASE", "DEK_CONTAINER", "FIELD_ENCRYPT_MEK_NAME", "KEYTURN_CONTAINER", "KEYTURN_KEYRING")
_COMMON = frozenset({"", "app", "dek_store", "default", "keyturn", "mek", "Microsoft.DocumentDB"})


def names_in(environment: Mapping[str, str]) -> set[str]:
    """Return the names of the deployment that the settings tell: hosts, what they are of, and resources."""
    hosts = {urlsplit(environment.get(name, "")).netloc for name in _URLS}
    named = {environment.get(name, "") for name in _NAMES}.union(environment.get(ACCOUNT, "").split("/")[2::2])
    for listed in ("KEYTURN_DOCUMENTS", "KEYTURN_KEYRINGS"):
        named.update(re.findall(r'"\w*name"\s*:\s*"([^"]+)"', environment.get(listed, ""), re.IGNORECASE))
    return {*hosts, *(host.partition(".")[0] for host in hosts), *named}


def mask_of(names: Iterable[str]) -> Callable[[str], str]:
    """Return what hides URLs, ids and these names in a text: the same name behind the same number, in every text."""
    listed = "|".join(map(re.escape, sorted(set(names) - _COMMON, key=len, reverse=True)))
    pattern = re.compile(rf"{_IDS}|(?<![\w-])(?:{listed})(?![\w-])", re.IGNORECASE)
    known: dict[str, str] = {}
    return lambda text: pattern.sub(lambda at: known.setdefault(at[0].lower(), f"<name-{len(known) + 1}>"), text)


def report(
    results: Iterable[CheckResult], resource_group: str, about: str, hide: Callable[[str], str] = lambda text: text
) -> str:
    """Return the report in Markdown, fit for an issue; ``about`` tells versions and time, ``hide`` masks names."""
    found: dict[str, list[CheckResult]] = {name: [] for step in LIVE_CHECKS for name in step.proves}
    assumed = list(found)
    for result in results:
        found.setdefault(result.id, []).append(result)
    words = {name: WORDS[_outcome(of_one)] for name, of_one in found.items()}
    counts = Counter(words[name] for name in assumed)
    counted = ", ".join(f"{counts[word]} {word}" for word in WORDS.values())

    def table(names: Iterable[str]) -> str:
        rows = (f"| `{name}` | {words[name]} | {hide(_told(found[name]))} |" for name in names)
        return "\n".join(["| what | result | found |", "| --- | --- | --- |", *rows])

    lines = ["# Keyturn on a live subscription", about, f"Of {len(assumed)} assumptions: {counted}."]
    for number, step in enumerate(LIVE_CHECKS, 1):
        lines += [step.described(number, hide(resource_group)), table(step.proves)]
    lines += ["## What else the doctor looked at", table(name for name in found if name not in assumed)]
    return "\n\n".join(lines) + "\n"


def _outcome(found: Iterable[CheckResult]) -> Outcome:
    """Return the worst of what was found; what one could not look at counts only where no other could."""
    seen = {result.outcome for result in found} - {Outcome.UNCHECKED}
    return max(seen, key=list(Outcome).index, default=Outcome.UNCHECKED)


def _told(found: Iterable[CheckResult]) -> str:
    texts = dict.fromkeys(" ".join(filter(None, (one.subject, one.detail, one.advice))) for one in found)
    return visible("; ".join(texts)).replace("|", "\\|")
