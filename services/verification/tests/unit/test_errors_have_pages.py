"""Every code that this service can answer with has a page that says what it means and how to mend it."""

from pathlib import Path

import pytest

from cairn.common.problem import COMMON
from cairn.verification.problems import PROBLEMS

PAGES = Path(__file__).parents[4] / "docs" / "errors"


@pytest.mark.parametrize("code", sorted({**COMMON, **PROBLEMS}))
def test_the_code_has_a_page(code: str) -> None:
    problem = {**COMMON, **PROBLEMS}[code]
    page = (PAGES / f"{code}.md").read_text("utf-8")
    assert page.startswith(f"# {code}\n")
    assert f"**HTTP {problem.status}.**" in page
    assert len(page.split()) > 20
