"""What the templates make of the parameters of each variant: the compiler's own snapshots under infra/variants/.

``make infra`` writes and checks them. Expressions that only Azure can evaluate, such as the identity's principal id,
are left in them as text in brackets.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
VARIANTS = INFRA / "variants"
ROLES: dict[str, str] = json.loads((INFRA / "roles.json").read_text())


@dataclass(frozen=True)
class Resource:
    """A resource as it would be deployed; ``body`` is all that is said of it."""

    id: str
    type: str
    name: str
    body: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        """The resource's properties, or nothing."""
        properties: dict[str, Any] = self.body.get("properties", {})
        return properties


@dataclass(frozen=True)
class Snapshot:
    """One variant of the deployment."""

    name: str
    resources: list[Resource]
    outputs: dict[str, Any]

    def of_type(self, kind: str) -> list[Resource]:
        """Return the resources of a type."""
        return [resource for resource in self.resources if resource.type == kind]

    def one(self, kind: str) -> Resource:
        """Return the one resource of a type; raises ValueError where there are none or several."""
        [resource] = self.of_type(kind)
        return resource

    @property
    def app(self) -> Resource:
        """The function app."""
        return self.one("Microsoft.Web/sites")

    @property
    def settings(self) -> dict[str, str]:
        """The app's settings by name."""
        return {setting["name"]: setting["value"] for setting in self.app.properties["siteConfig"]["appSettings"]}


def read_snapshots() -> dict[str, Snapshot]:
    """Return every variant by its name; fails where there is none."""
    found = {path.name.removesuffix(".snapshot.json"): _read(path) for path in sorted(VARIANTS.glob("*.snapshot.json"))}
    assert found, VARIANTS
    return found


def template_paths() -> list[Path]:
    """Return every Bicep file."""
    return sorted(INFRA.rglob("*.bicep"))


def _read(path: Path) -> Snapshot:
    content = json.loads(path.read_text())
    resources = [Resource(body["id"], body["type"], body["name"], body) for body in content["predictedResources"]]
    return Snapshot(path.name.removesuffix(".snapshot.json"), resources, content["outputs"])
