"""What the demo found, and whether that is what a rotation promises."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Report(BaseModel):
    """The demo's ``report.json``."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    run_id: str
    state: str
    old_version: str
    new_version: str
    rows: int
    rewrapped: int
    quarantined: int
    census_after: dict[str, int]
    vault_operations: dict[str, int]  # by the rotation's identity alone
    old_version_enabled: bool
    notes_readable: int
    notes_unreadable: int
    reads: dict[str, int]
    writes: dict[str, int]
    stale_writes: int
    seconds: float

    @classmethod
    def of(
        cls,
        status: dict[str, Any],
        load: dict[str, Any],
        operations: dict[str, Any],
        outside: dict[str, Any],
        seconds: float,
    ) -> Self:
        """Put together what the app says and what was seen from outside."""
        old_version = status["retired"][0] if status["retired"] else status["oldVersions"][0]
        names = ("unwrap", "wrap", "get", "list", "create", "update")
        return cls(
            run_id=status["rotationId"],
            state=status["state"],
            old_version=old_version,
            new_version=status["targetVersion"],
            rows=sum(outside["census"].values()),
            rewrapped=status["counts"]["sweep"]["changed"],
            quarantined=status["quarantined"]["count"],
            census_after=outside["census"],
            vault_operations={name: operations.get(name, 0) for name in names},
            old_version_enabled=outside["versions"][old_version],
            notes_readable=outside["notes"]["readable"],
            notes_unreadable=outside["notes"]["unreadable"],
            reads=load["reads"],
            writes=load["writes"],
            stale_writes=status["staleWriters"]["count"],
            seconds=round(seconds, 1),
        )

    def broken_promises(self) -> list[str]:
        """Return what is not as it should be, in words; nothing when the rotation kept every promise."""
        promises = {
            f"the rotation ended in {self.state}": self.state == "completed",
            f"rows are not all on the new version: {self.census_after}": set(self.census_after) == {self.new_version},
            f"{self.notes_unreadable} notes do not decrypt": self.notes_unreadable == 0 and self.notes_readable > 0,
            f"{self.reads['failed']} live reads failed": self.reads["failed"] == 0 and self.reads["ok"] > 0,
            f"{self.writes['failed']} live writes failed": self.writes["failed"] == 0 and self.writes["ok"] > 0,
            "the old version is still enabled": not self.old_version_enabled,
            f"the rotation wrapped {self.vault_operations['wrap']} times in the vault": (
                self.vault_operations["wrap"] == 0
            ),
        }
        return [broken for broken, kept in promises.items() if not kept]
