"""What the product imports is what it says it needs: the image has nothing else."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import ROOT

pytestmark = pytest.mark.unit
PRODUCT = [*(ROOT / "libs").glob("*/src"), *(ROOT / "services").glob("*/src")]


def _imported() -> dict[str, set[str]]:
    """The top names of all modules that are imported anywhere, each with the files that do."""
    found: dict[str, set[str]] = {}
    for source in (path for folder in PRODUCT for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(source.relative_to(ROOT)))
    return found


def test_everything_imported_is_in_the_image():
    said = subprocess.run(
        [sys.executable, ROOT / "dev/requirements.py", "pinned", "services"], check=True, capture_output=True, text=True
    )
    there = {canonicalize_name(Requirement(line).name) for line in said.stdout.splitlines()}
    homes = packages_distributions()
    imported = {name: files for name, files in _imported().items() if name not in sys.stdlib_module_names | {"cairn"}}
    assert len(imported) > 20
    missing = {
        name: files
        for name, files in imported.items()
        if not there & {canonicalize_name(home) for home in homes.get(name, [])}
    }
    assert missing == {}
