"""The templates as data: resources, modules and what they refer to, read with the parser that checkov uses."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
ROLES: dict[str, str] = json.loads((INFRA / "roles.json").read_text())

_PARSER = BicepParser()


@dataclass(frozen=True)
class Resource:
    """A resource of a template; ``config`` is its body, out of a loop or condition."""

    template: "Template"
    symbol: str
    type: str
    api_version: str
    existing: bool
    conditional: bool
    config: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        """The resource's properties, or nothing."""
        return self.config.get("properties", {})


@dataclass(frozen=True)
class Module:
    """A module that a template deploys."""

    symbol: str
    path: Path
    params: dict[str, Any]


@dataclass(frozen=True)
class Template:
    """One Bicep file."""

    path: Path
    text: str
    parsed: dict[str, Any]

    @property
    def name(self) -> str:
        """The path under infra/."""
        return str(self.path.relative_to(INFRA))

    @property
    def scope(self) -> str:
        """What the template is deployed to: resourceGroup unless it says otherwise."""
        return str(self.parsed["globals"]["scope"]["value"])

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The parameters by name."""
        return self.parsed.get("parameters", {})

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """The outputs by name."""
        return self.parsed.get("outputs", {})

    def variable(self, name: str) -> Any:
        """Return a variable's value."""
        return self.parsed["variables"][name]["value"]

    @property
    def resources(self) -> dict[str, Resource]:
        """The resources by symbol, existing ones included."""
        return {symbol: self._resource(symbol, found) for symbol, found in self.parsed.get("resources", {}).items()}

    def _resource(self, symbol: str, found: dict[str, Any]) -> Resource:
        conditional, body = _unwrap(found["config"])
        version = found["api_version"]
        return Resource(self, symbol, found["type"], version, found["existing"], conditional, body)

    @property
    def modules(self) -> dict[str, Module]:
        """The modules by symbol."""
        modules = {}
        for symbol, found in self.parsed.get("modules", {}).items():
            _, body = _unwrap(found["config"])
            path = (self.path.parent / found["detail"]["path"]).resolve()
            modules[symbol] = Module(symbol, path, body.get("params", {}))
        return modules

    def used_outputs(self) -> set[tuple[str, str]]:
        """Return (module, output) for every ``module.outputs.output``."""
        return set(re.findall(r"\b(\w+)\.outputs\.(\w+)", self.text))


def read_template(path: Path) -> Template:
    """Parse a file; raises what the parser raises for one that it cannot read."""
    text = path.read_text()
    return Template(path, text, _PARSER.parse(text=text))


def template_paths() -> list[Path]:
    """Return every Bicep file."""
    return sorted(INFRA.rglob("*.bicep"))


def walk(value: Any) -> Iterator[Any]:
    """Yield a parsed value and everything in it."""
    yield value
    if isinstance(value, dict):
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def accessor(value: Any) -> tuple[str, str] | None:
    """Return (symbol, property) of ``symbol.property``, or None for anything else."""
    if isinstance(value, dict) and value.get("operator", {}).get("type") == "property_accessor":
        operands = value["operator"]["operands"]
        if isinstance(operands["operand_1"], str) and isinstance(operands["operand_2"], str):
            return operands["operand_1"], operands["operand_2"]
    return None


def _unwrap(config: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    conditional = False
    while set(config) <= {"loop_type", "condition", "config"} and "config" in config:
        conditional = conditional or config.get("condition") is not None
        config = config["config"]
    return conditional, config
