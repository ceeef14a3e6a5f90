"""What the checks of one keyring work with."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from keyturn.doctor.lines import Answer
from keyturn.preflight.inquiry import Facts, Inquiry
from keyturn.resources import KeyringResources, Resources
from keyturn.rotation.record import RotationRecord, instance_id_of, new_rotation_id

WHO = "keyturn doctor"


@dataclass(frozen=True)
class Patient:
    """One keyring of the deployment, with pre-flight's view of it."""

    resources: Resources
    keyring: KeyringResources
    inquiry: Inquiry

    @classmethod
    def of(cls, resources: Resources, name: str, now: Callable[[], datetime]) -> "Patient":
        """Return the patient for a keyring; nothing is asked yet, and the record is never stored."""
        keyring = resources.keyring(name)
        record = RotationRecord(
            rotation_id=new_rotation_id(name, now()),
            keyring=name,
            history=[],
            requested_by=WHO,
            requested_at=now(),
            trigger="cli",
            policy=resources.settings.policy,
            instance_id=instance_id_of(name),
            fencing_token=0,
        )
        inquiry = Inquiry(
            record=record,
            keyring=keyring,
            settings=resources.settings,
            documents=resources.run_store.documents,
            account=resources.account,
            on_call=None,
            now=now(),
            facts=Facts(keyring),
        )
        return cls(resources, keyring, inquiry)


@dataclass(frozen=True, slots=True)
class Look:
    """A check that changes nothing, and the lines without which it would only fail for the same reason."""

    run: Callable[[Patient], Awaitable[Answer]]
    needs: tuple[str, ...]


def made_up() -> str:
    """Return a name that nothing has."""
    return f"keyturn-doctor-{secrets.token_hex(6)}"
