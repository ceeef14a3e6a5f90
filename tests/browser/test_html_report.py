"""A rotation's report as one file, opened from disk by a browser without a network: it verifies itself."""

import json
import re
import sys
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from keyturn.audit.chain import canonical, hash_of, head_of, link
from keyturn.audit.events import AuditEvent, DecisionTaken, EventData, EvidenceFrozen
from keyturn.cli.html_report import html_report
from keyturn.rotation.status import report
from keyturn.runs.record import digest_of
from local.supervisor import LocalAzure
from tests.browser.conftest import HOSTILE, hard_to_use
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import REPOSITORY, execute, operator_environment
from tests.keyturn.runs.lifecycle import NOW, make_record

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]


@pytest.fixture
async def filed(azure: LocalAzure, app: AppHarness, tmp_path: Path) -> Path:
    """The report of a completed rotation whose reason is full of markup."""
    run_id = await app.start(reason=HOSTILE)
    await app.approve(run_id)
    file = tmp_path / "report.html"
    command = (sys.executable, "-m", "keyturn.cli", "report", run_id, "--html", str(file))
    written = await execute(*command, cwd=REPOSITORY, env=operator_environment(azure))
    assert written.code == 0, written.err
    return file


def falsified(text: str) -> str:
    """Change one byte of the evidence: one row fewer was on the new version."""
    return _once(r'(id="evidence">.*?onTarget&#34;:)(\d)', lambda found: f"{found[1]}{(int(found[2]) + 1) % 10}", text)


def doubled(text: str) -> str:
    """Say a member of the evidence twice: a reader may see the first, and a parser takes the last."""
    return _once(r'(id="evidence">{)', lambda found: f"{found[1]}&#34;quarantined&#34;:7,", text)


def altered(text: str) -> str:
    """Change an event of the chain."""
    return _once(r"(class=\"event\">.*?)(&#34;by&#34;:&#34;)", lambda found: f"{found[1]}{found[2]}x", text)


def cut(text: str) -> str:
    """Take the first event away."""
    return _once(r"<li><code class=\"event\">.*?</li>", lambda _: "", text)


def rehashed(text: str) -> str:
    """Change the first event and hash it anew: the one after it is still linked to what it was."""

    def change(found: re.Match[str]) -> str:
        event = json.loads(unescape(found[2]))
        event["data"]["detail"] = "another"
        written = json.dumps({**event, "hash": hash_of(event)}, sort_keys=True, separators=(",", ":"))
        return f"{found[1]}{escape(written)}<"

    return _once(r'(class="event">)([^<]*)<', change, text)


def _once(pattern: str, change: Callable[[re.Match[str]], str], text: str) -> str:
    changed, count = re.subn(pattern, change, text, count=1, flags=re.DOTALL)
    assert count == 1
    return changed


async def test_it_verifies_itself_and_shows_what_was_changed(filed: Path, tab: Any) -> None:
    """Offline, from disk: the digest as verified, and that it is not where one byte is another."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    await tab.context.set_offline(offline=True)
    await tab.goto(filed.as_uri())

    await expect(tab.locator("#evidence-verdict")).to_contain_text("VERIFIED: the evidence below hashes to")
    await expect(tab.locator("#chain-verdict")).to_contain_text(re.compile(r"^VERIFIED: \d+ events, unbroken"))
    assert HOSTILE in await tab.inner_text("main")
    assert await hard_to_use(tab) == []
    assert await tab.locator("img, link").count() == 0
    digest = re.search(r"hashes to ([0-9a-f]{64})", await tab.inner_text("#evidence-verdict"))
    assert digest is not None
    await expect(tab.get_by_text("Digest: ")).to_contain_text(digest[1])

    await on_paper(tab)
    for change, which in (
        (falsified, "evidence"),
        (doubled, "evidence"),
        (altered, "chain"),
        (cut, "chain"),
        (rehashed, "chain"),
    ):
        await tab.goto(_copied(filed, change).as_uri())
        await expect(tab.locator(f"#{which}-verdict")).to_contain_text("NOT VERIFIED")
        # Evidence whose chain does not hold is not proven either.
        await expect(tab.locator("#evidence-verdict")).to_contain_text("NOT VERIFIED")


async def on_paper(tab: Any) -> None:
    """Hold that the page prints as dark ink on white, whatever the screen's scheme, with all of it unfolded."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    folded = tab.get_by_text("waivers: 0 waivers given")
    await expect(folded).to_be_hidden()
    await tab.emulate_media(media="print", color_scheme="dark")
    await expect(folded).to_be_visible()
    style = "element => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color]"
    assert await tab.locator("body").evaluate(style) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    # What is done and what is to come differ by what a printer leaves out unless it is told.
    mark = "element => getComputedStyle(element, '::before').printColorAdjust"
    assert await tab.locator(".steps > li.done").first.evaluate(mark) == "exact"
    await tab.emulate_media(media="screen", color_scheme="light")


async def test_a_decision_on_evidence_that_is_void_is_none_on_what_was_frozen_after_it(
    tab: Any, tmp_path: Path
) -> None:
    """What was found after an approval is frozen anew, and waits for a decision of its own; the new evidence holds."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    evidence = {"keyring": "default", "reason": HOSTILE}
    record = make_record(evidence=evidence, evidence_digest=digest_of(evidence))
    void, digest = "d" * 64, str(record.evidence_digest)
    events: list[EventData] = [
        EvidenceFrozen(digest=void, expires_at=NOW),
        DecisionTaken(decision="approved", by="sam", digest=void),
        EvidenceFrozen(digest=digest, expires_at=NOW),
        DecisionTaken(decision="approved", by="sam", digest=void),
    ]
    file = tmp_path / "report.html"

    for count, said in (3, "VERIFIED: the evidence below hashes to"), (4, "NOT VERIFIED"):
        lines: list[bytes] = []
        last = None
        for number, data in enumerate(events[:count]):
            event = link(record.run_id, AuditEvent(key=str(number), at=NOW, data=data), last)
            lines, last = [*lines, canonical(event)], head_of(event)
        file.write_text(html_report(record.run_id, canonical(report(record).to_payload()), b"\n".join(lines)))
        await tab.goto(file.as_uri())

        await expect(tab.locator("#chain-verdict")).to_have_text(re.compile(f"^VERIFIED: {count} events"))
        await expect(tab.locator("#evidence-verdict")).to_have_text(re.compile(f"^{said}"))


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"a": 1, "a": 2}', b'{"n": 1152921504606846976}', b'["\\ud800"]', b"\xff<b>"]
)
async def test_a_chain_that_cannot_be_read_is_filed_as_not_verified(tab: Any, tmp_path: Path, line: bytes) -> None:
    """What stands in its place is shown, as text; and evidence without a canonical form does not hold either."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    record = make_record(evidence={"rows": 2**60}, evidence_digest="d" * 64)
    frozen = link(
        record.run_id, AuditEvent(key="1", at=NOW, data=EvidenceFrozen(digest="d" * 64, expires_at=NOW)), None
    )
    file = tmp_path / "report.html"
    stored = json.dumps(report(record).to_payload()).encode()
    file.write_text(html_report(record.run_id, stored, canonical(frozen) + b"\n" + line + b"\n" + canonical(frozen)))
    await tab.goto(file.as_uri())

    await expect(tab.locator("#chain-verdict")).to_contain_text("NOT VERIFIED")
    await expect(tab.locator("#evidence-verdict")).to_contain_text("NOT VERIFIED")
    assert await tab.locator("#chain b").count() == 0


def _copied(file: Path, change: Callable[[str], str]) -> Path:
    copy = file.with_name(f"{change.__name__}.html")
    copy.write_text(change(file.read_text()))
    return copy
