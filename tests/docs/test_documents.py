"""What is written about the services is what they are: OpenAPI documents, pages of errors, links between pages."""

import json
import re
from pathlib import Path

import pytest

from cairn.common.command import documented_by
from cairn.common.problem import COMMON
from cairn.issuance.app import issuance_app
from cairn.issuance.problems import PROBLEMS as ISSUANCE
from cairn.issuance.settings import IssuanceSettings
from cairn.pathways.app import pathways_app
from cairn.pathways.domain.framework import parse_framework
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.lint import lint
from cairn.pathways.domain.selector import LIST_KEYS
from cairn.pathways.problems import PROBLEMS as PATHWAYS
from cairn.pathways.settings import PathwaysSettings
from cairn.verification.app import verification_app
from cairn.verification.problems import PROBLEMS as VERIFICATION
from cairn.verification.settings import VerificationSettings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
CODES = {**COMMON, **ISSUANCE, **PATHWAYS, **VERIFICATION}
APPS = {
    "issuance": (issuance_app, IssuanceSettings),
    "pathways": (pathways_app, PathwaysSettings),
    "verification": (verification_app, VerificationSettings),
}
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("deploy/**/*.md")]


@pytest.mark.parametrize("service", APPS)
def test_the_openapi_document_is_that_of_the_service(service: str) -> None:
    """`make openapi` writes it."""
    app, settings = APPS[service]
    written = json.loads((ROOT / "docs" / "openapi" / f"{service}.json").read_text("utf-8"))
    assert written == documented_by(settings, app)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_page_that_says_how_to_mend_it(code: str) -> None:
    page = (ROOT / "docs" / "errors" / f"{code}.md").read_text("utf-8")
    assert page.startswith(f"# {code}\n")
    assert f"**HTTP {CODES[code].status}.**" in page
    assert len(page.split()) > 20
    assert CODES[code].fix.endswith(".")


def test_every_page_is_of_a_code() -> None:
    assert {page.stem for page in (ROOT / "docs" / "errors").glob("*.md")} - {"README"} == set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


def test_each_decision_has_a_number_of_its_own_and_its_line_in_the_list() -> None:
    """`ADR 7` in a comment must mean one page."""
    folder = ROOT / "docs" / "decisions"
    pages = [page for page in sorted(folder.glob("*.md")) if page.name != "README.md"]
    headings = [page.read_text("utf-8").splitlines()[0].removeprefix("# ") for page in pages]
    lines = [f"{heading.replace('. ', '. [', 1)}]({page.name})" for page, heading in zip(pages, headings, strict=True)]
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [heading.split(".")[0] for heading in headings] == [str(int(page.name[:4])) for page in pages]
    assert re.findall(r"^\d+\. .*$", (folder / "README.md").read_text("utf-8"), re.MULTILINE) == lines
    cited = [hit for page in PAGES for hit in re.findall(r"ADR (\d+)\]\([^)]*?(\d{4})-", page.read_text("utf-8"))]
    assert cited
    assert all(int(number) == int(file) for number, file in cited)


def test_the_framework_that_is_shown_is_one_and_every_form_of_node_limit_and_decision_is_told() -> None:
    page = (ROOT / "docs" / "frameworks.md").read_text("utf-8")
    framework = parse_framework(json.loads(page.split("```json\n")[1].split("```")[0]))
    assert lint(framework) == []
    assert {type(limit).__name__ for limit in framework.limits} == {kind.__name__ for kind in Limit.__subclasses__()}
    asked = json.loads((ROOT / "docs" / "openapi" / "pathways.json").read_text("utf-8"))
    kinds = asked["paths"]["/v1/learners/{learner}/decisions"]["post"]["requestBody"]["content"]["application/json"]
    words = set(re.findall(r"`(\w+)`", page))
    assert words >= {*kinds["schema"]["discriminator"]["mapping"], *LIST_KEYS}


def test_every_promise_that_is_cited_is_told() -> None:
    """`S14` in a comment, and `test_s14_` in a name, must mean something to whoever has only this repository."""
    told = set(re.findall(r"^\| ([SR]\d+) \|", (ROOT / "docs" / "promises.md").read_text("utf-8"), re.MULTILINE))
    sources = [path for folder in ("libs", "services", "tests", "dev") for path in (ROOT / folder).rglob("*.py")]
    cited = {
        f"{kind.upper()}{int(number)}"
        for path in sources
        for kind, number in re.findall(
            r"(?:\btest_|\(|, )([srSR])(\d{1,2})(?=_|\)|, [SR]\d|:)", path.read_text("utf-8")
        )
    }
    assert len(cited) > 30
    assert cited <= told
