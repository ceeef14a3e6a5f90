"""What a pass can do with the rows or documents of its source, as data: how they are found, and who works on a page."""

from collections.abc import Mapping
from typing import NamedTuple

from keyturn.contracts.pages import Selection
from keyturn.contracts.passes import Phase


class Operation(NamedTuple):
    """One operation of ``row_pass``; activities are named as they are registered."""

    selection: Selection
    activity: str  # takes PageInput, gives PageResult
    phase: Phase = "sweep"
    scan: str = "scan_page"  # takes ScanInput, gives ScanResult


OPERATIONS: Mapping[str, Operation] = {
    "rewrap": Operation("stale", "rewrap_page"),
    "prove": Operation("rewrapped", "prove_page", phase="proof"),
    "roll_back": Operation("chosen", "roll_back_page"),
    "rewrap_chosen": Operation("chosen", "rewrap_chosen_page"),
    "encrypt_documents": Operation("chosen", "encrypt_documents", scan="scan_documents"),
    "reencrypt_documents": Operation("chosen", "reencrypt_documents", scan="scan_documents"),
    "check_documents": Operation("chosen", "check_documents", phase="check", scan="scan_documents"),
    "prove_documents": Operation("rewrapped", "check_documents", phase="proof", scan="scan_documents"),
}
