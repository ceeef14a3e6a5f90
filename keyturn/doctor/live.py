"""The rehearsal of a first deployment: live checks in their order, and the report of what came of them.

The checks are data: ``live_checks.toml`` beside this file. docs/first-deployment.md shows the same list.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from keyturn.errors import InvalidRequestError
from keyturn.preflight.results import CheckResult, Outcome

ACCOUNT = "KEYTURN_COSMOS_RESOURCE_ID"
# What a report calls the outcomes: what was not seen has not passed.
WORDS = {Outcome.OK: "passed", Outcome.WARNING: "warning", Outcome.PROBLEM: "FAILED", Outcome.UNCHECKED: "not run"}
HEAD = "| what | result | found |\n| --- | --- | --- |"
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
        lines = [f"### {number}. {self.title} (`{self.id}`)", "", f"Cost: {self.cost} Undo: {self.undo}", ""]
        if self.commands:
            commands = self.commands.replace("{resource_group}", resource_group).strip()
            lines += ["```sh", commands, "```", ""]
        return "\n".join(lines)


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


def names_in(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the deployment that the settings tell: hosts, what they are of, and resources."""
    hosts = {urlsplit(environment.get(name, "")).netloc for name in _URLS}
    named = {environment.get(name, "") for name in _NAMES}.union(environment.get(ACCOUNT, "").split("/")[2::2])
    return frozenset({*hosts, *(host.partition(".")[0] for host in hosts), *named} - _COMMON)


class Mask:
    """Hides names in what was found: the same name is always replaced by the same number."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = "|".join(re.escape(name) for name in sorted({name for name in names if name}, key=len, reverse=True))
        self._pattern = re.compile(rf"{_IDS}|(?<![\w-])(?:{listed})(?![\w-])" if listed else _IDS, re.IGNORECASE)
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return the text with every name hidden."""
        return self._pattern.sub(lambda found: self._known.setdefault(found[0].lower(), self._next()), text)

    def _next(self) -> str:
        return f"<name-{len(self._known) + 1}>"


class Rehearsal(NamedTuple):
    """One run of the live checks: what the doctor found, and where and when."""

    results: list[CheckResult]
    resource_group: str
    about: str  # one line: versions and time

    def report(self, mask: Mask | None = None) -> str:
        """Return the report in Markdown; it can be attached to an issue, masked if names are not for everyone."""
        hide = mask or str
        assumed = {name for step in LIVE_CHECKS for name in step.proves}
        counted = [self._outcome(name) for name in assumed]
        counts = ", ".join(f"{counted.count(outcome)} {word}" for outcome, word in WORDS.items())
        lines = [
            "# Keyturn on a live subscription",
            "",
            self.about,
            "",
            f"Of {len(assumed)} assumptions: {counts}.",
            "",
        ]
        for number, step in enumerate(LIVE_CHECKS, 1):
            rows = [self._row(name, WORDS[self._outcome(name)], self._found(name), hide) for name in step.proves]
            lines += [step.described(number, hide(self.resource_group)), HEAD, *rows, ""]
        others = [result for result in self.results if result.id not in assumed]
        lines += ["## What else the doctor looked at", "", HEAD]
        lines += [self._row(other.id, WORDS[other.outcome], [other], hide) for other in others]
        return "\n".join(lines) + "\n"

    def _found(self, name: str) -> list[CheckResult]:
        return [result for result in self.results if result.id == name]

    def _outcome(self, name: str) -> Outcome:
        """Return the worst of what was found; what one could not look at counts only where no other could."""
        seen = {result.outcome for result in self._found(name)}
        order = (Outcome.PROBLEM, Outcome.WARNING, Outcome.OK)
        return next((outcome for outcome in order if outcome in seen), Outcome.UNCHECKED)

    @staticmethod
    def _row(name: str, word: str, found: list[CheckResult], hide: "Mask | type[str]") -> str:
        texts = dict.fromkeys(" ".join(filter(None, (one.subject, one.detail, one.advice))) for one in found)
        return f"| `{name}` | {word} | {hide('; '.join(texts)).replace('|', chr(92) + '|')} |"
