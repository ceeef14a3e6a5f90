"""The docs as a site: every page is in it, and every link of it leads somewhere."""

import shutil
from pathlib import Path

import pytest
from mkdocs.exceptions import Abort

from tools.site import ROOT, make, pages

pytestmark = pytest.mark.unit


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page of the repository is a page of the site and stands in its navigation."""
    make(ROOT, tmp_path)

    assert {Path("README.md"), Path("docs/deploy.md")} <= set(pages(ROOT))
    for page in pages(ROOT):
        made = page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html")
        assert (tmp_path / "site" / made).is_file(), page


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the pages and of what they link to, which builds as it is."""
    make(ROOT, tmp_path / "whole")
    copy = tmp_path / "whole" / "pages"
    shutil.copyfile(ROOT / "mkdocs.yml", copy / "mkdocs.yml")
    make(copy, tmp_path / "before")
    return copy


@pytest.mark.parametrize(
    ("page", "addition"),
    [
        ("README.md", "\n[gone](docs/gone.md)\n"),
        ("README.md", "\n[gone](docs/operations.md#gone)\n"),
        ("README.md", "\n[gone](bench/baselines/gone.json)\n"),
        ("docs/stray.md", "# In no menu\n"),
    ],
)
def test_a_dead_link_or_a_stray_page_ends_the_build(checkout: Path, page: str, addition: str) -> None:
    """A page, a heading or a file that is not there, and a page that no menu leads to."""
    with (checkout / page).open("a") as opened:
        opened.write(addition)

    with pytest.raises(Abort):
        make(checkout, checkout.parents[1] / "after")
