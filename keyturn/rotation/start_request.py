"""The body of a start: what the requester wants, and the hash by which a repeated request is recognised."""

import hashlib
from typing import Annotated

import rfc8785
from pydantic import Field, StringConstraints

from keyturn.contracts import Payload
from keyturn.rotation.record_parts import Force, Name, Remark, RequestOptions, Waiver

_Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class WaiverRequest(Payload):
    """A pre-flight check that may fail; who says so is the requester unless named."""

    check: Name
    why: _Reason
    by: Name | None = None


class StartRequest(Payload):
    """What may stand in the body of a start."""

    keyring: str | None = None  # may be left out where there is only one
    requested_by: Name | None = None
    reason: Remark = ""
    dry_run: bool = False
    snapshot_reference: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] | None
    ) = None
    force: Force | None = None
    waivers: Annotated[list[WaiverRequest], Field(max_length=20)] = Field(default_factory=list)

    def options(self, requested_by: str) -> RequestOptions:
        """Return what the record keeps of the wishes."""
        return RequestOptions(
            dry_run=self.dry_run,
            snapshot_reference=self.snapshot_reference,
            force=self.force,
            waivers=[Waiver(check=one.check, by=one.by or requested_by, why=one.why) for one in self.waivers],
        )


def request_hash(request: StartRequest, *, keyring: str, requested_by: str) -> str:
    """Return the SHA-256 (hex) of the canonical request, as it is understood and by whom it is made."""
    understood = {**request.to_payload(), "keyring": keyring, "requestedBy": requested_by}
    return hashlib.sha256(rfc8785.dumps(understood)).hexdigest()
