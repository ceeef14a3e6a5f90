"""The pages of this repository as a site, whose links all lead somewhere: ``python -m tools.site [--into DIRECTORY]``.

Every page is copied to where it stands here, with the files that pages link to. So a link holds on the site exactly
where it holds in a checkout. Decisions are listed in the order of their numbers.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", "bench/*.md", "field_encrypt/*.md", "infra/*.md", "model/*.md", "tests/vectors/*.md")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_DECISIONS = "docs/adr/*"


def pages(root: Path) -> list[Path]:
    """Return every page, by its place in the repository."""
    return sorted(page.relative_to(root) for pattern in PAGES for page in root.glob(pattern))


def _linked(root: Path, page: Path) -> list[Path]:
    """Return the files, beside pages, that the page links to; what is not there is left to the build to tell."""
    targets = [(root / page.parent / link).resolve() for link in _LINK.findall((root / page).read_text())]
    return [found.relative_to(root) for found in targets if found.is_file() and found.suffix != ".md"]


def make(root: Path, into: Path) -> None:
    """Build the site of a checkout; raises mkdocs.exceptions.Abort for whatever is warned of, such as a dead link."""
    source = into / "pages"
    shutil.rmtree(into, ignore_errors=True)
    listed = pages(root)
    for file in {file for page in listed for file in (page, *_linked(root, page))}:
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, source / file)
    config = load_config(str(root / "mkdocs.yml"), docs_dir=str(source), site_dir=str(into / "site"))
    config.nav = _with_decisions(config.nav, [str(page) for page in listed if page.match(_DECISIONS)])
    build(config)


def _with_decisions(nav: Any, decisions: list[str]) -> Any:
    """Return the navigation with every decision where their folder stands."""
    if isinstance(nav, list):
        return [each for one in nav for each in (decisions if one == _DECISIONS else [_with_decisions(one, decisions)])]
    return {name: _with_decisions(inner, decisions) for name, inner in nav.items()} if isinstance(nav, dict) else nav


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--into", type=Path, default=ROOT / "dist" / "docs")
    chosen = arguments.parse_args()
    make(ROOT, chosen.into)
    sys.stdout.write(f"{chosen.into / 'site' / 'index.html'}\n")
