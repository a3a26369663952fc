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


def test_every_page_is_of_a_code() -> None:
    assert {page.stem for page in (ROOT / "docs" / "errors").glob("*.md")} - {"README"} == set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target
