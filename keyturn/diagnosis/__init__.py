"""Diagnosis: why a document or a DEK does not open, and what to do; orphans: what names nothing, or nothing names.

Everything here reads only, and nothing that it returns is, holds or reveals plaintext, a DEK or a wrap.
"""

from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.document import diagnose_document
from keyturn.diagnosis.models import NEXT_STEPS, Verdict
from keyturn.diagnosis.orphans import OrphanRequest, scan_orphans

__all__ = ["NEXT_STEPS", "OrphanRequest", "Verdict", "diagnose_dek", "diagnose_document", "scan_orphans"]
