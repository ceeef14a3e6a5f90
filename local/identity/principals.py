"""The principals of the local tenant: who they are, the header secret that stands for them, and what they may do."""

import secrets
import uuid
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from local.common.files import write_private

# A data action, or one of the app's own roles (docs/app-roles.json).
Right = Annotated[str, StringConstraints(pattern=r"^(Microsoft\.[A-Za-z]+/[A-Za-z/*]+(@[^@]+)?|Keyturn\.[A-Za-z]+)$")]


class PrincipalRecord(BaseModel):
    """One entry of ``principals.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str = Field(min_length=1)
    objectId: str = Field(min_length=1)  # noqa: N815 - JSON property of principals.json
    roles: list[Right]


class PrincipalChange(BaseModel):
    """Body of ``PUT /_control/principals/{name}``; what is left out stays as it is, or is made up for a new one."""

    model_config = ConfigDict(extra="forbid")

    header: str | None = Field(default=None, min_length=1)
    objectId: str | None = Field(default=None, min_length=1)  # noqa: N815 - JSON property of the control endpoint
    roles: list[Right]


_FILE = TypeAdapter(dict[str, PrincipalRecord])


class SecretInUseError(Exception):
    """Another principal already has this header secret, which must tell principals apart."""

    def __init__(self, name: str, other: str) -> None:
        super().__init__(f"header: principal {other!r} already has this secret, choose another for {name!r}")


class Principals:
    """The principals of one state folder, written through to ``principals.json``."""

    def __init__(self, path: Path) -> None:
        """Read the file; a missing one is a tenant without principals.

        Raises:
            pydantic.ValidationError: the file does not hold principals.
        """
        self._path = path
        self.by_name = _FILE.validate_json(path.read_bytes()) if path.exists() else {}

    def by_header(self, header: str) -> tuple[str, PrincipalRecord] | None:
        """Return the name and record of the principal with this secret."""
        for name, record in self.by_name.items():
            if secrets.compare_digest(record.header.encode(), header.encode()):
                return name, record
        return None

    def put(self, name: str, change: PrincipalChange) -> PrincipalRecord:
        """Create or change a principal; tokens issued from now on carry its new roles.

        Raises:
            SecretInUseError: the header secret belongs to another principal.
        """
        known = self.by_name.get(name)
        record = PrincipalRecord(
            header=change.header or (known.header if known else secrets.token_urlsafe(24)),
            objectId=change.objectId or (known.objectId if known else str(uuid.uuid4())),
            roles=change.roles,
        )
        holder = self.by_header(record.header)
        if holder is not None and holder[0] != name:
            raise SecretInUseError(name, holder[0])
        self._write({**self.by_name, name: record})
        return record

    def remove(self, name: str) -> bool:
        """Remove the principal, and tell whether there was one."""
        if name not in self.by_name:
            return False
        self._write({other: record for other, record in self.by_name.items() if other != name})
        return True

    def _write(self, principals: dict[str, PrincipalRecord]) -> None:
        write_private(self._path, _FILE.dump_json(principals, indent=2))
        self.by_name = principals
