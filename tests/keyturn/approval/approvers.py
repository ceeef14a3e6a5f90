"""Approvers and their links."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from keyturn.approval.links import approval_links
from keyturn.runs.records import RotationRecord
from keyturn.settings import Settings
from tests.keyturn.runs.lifecycle import APPROVER, NOW
from tests.keyturn.settings.environment import settings_of

SECRET = "whsec_" + base64.b64encode(b"first secret of the tests").decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"next secret of the tests").decode()
SOON = NOW + timedelta(minutes=1)


def settings(*approvers: str, secrets: str = SECRET, **more: str) -> Settings:
    """Return settings with these approvers."""
    named = json.dumps(approvers or [APPROVER])
    links = {} if "KEYTURN_ACCESS" in more else {"KEYTURN_LINKS_WITHOUT_SIGN_IN": "true"}
    values = {
        "KEYTURN_APPROVERS": named,
        "KEYTURN_PUBLIC_URL": "https://keyturn.example/",
        "APPROVAL_WEBHOOK_SECRETS": secrets,
    }
    return settings_of(**values | links | more)


def token_of(url: str) -> str:
    """Return the token in a link."""
    [token] = parse_qs(urlsplit(url).query)["token"]
    return token


def link_token(record: RotationRecord, *approvers: str, **more: Any) -> str:
    """Return the token of the first approver's link."""
    [(_, url), *_] = approval_links(record, settings(*approvers, **more), NOW)
    return token_of(url)
