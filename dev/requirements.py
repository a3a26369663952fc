"""What each dependency group of the workspace needs, read from the pyprojects and the lock. Standard library only.

python3 dev/requirements.py wanted GROUP…     third-party requirements, a line each: what `make lock` resolves
python3 dev/requirements.py pinned GROUP…     the same as the one version that requirements.lock has
python3 dev/requirements.py workspace GROUP…  folders of our own packages, each after those it needs
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"


def name_of(requirement: str) -> str:
    """The distribution's name in its one normal spelling."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        raise SystemExit(f"cairn: not a requirement: {requirement}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def projects() -> dict[str, tuple[Path, list[str]]]:
    """Folder and requirements of each of our packages, by name."""
    read: dict[str, tuple[Path, list[str]]] = {}
    for file in sorted(ROOT.glob("*/*/pyproject.toml")):
        project: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
        read[project["name"]] = (file.parent.relative_to(ROOT), project.get("dependencies", []))
    return read


def closure(groups: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Our packages that the groups need, dependencies first, and the third-party requirements of all of them."""
    table: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    ours, seen, folders, others = projects(), set[str](), list[Path](), set[str]()

    def visit(requirements: Iterable[str]) -> None:
        for requirement in requirements:
            name = name_of(requirement)
            if name not in ours:
                others.add(requirement)
            elif name not in seen:
                seen.add(name)
                folder, needs = ours[name]
                visit(needs)
                folders.append(folder)

    for group in groups:
        if group not in table:
            raise SystemExit(f"cairn: pyproject.toml has no dependency group {group}")
        visit(table[group])
    return folders, sorted(others)


def pinned(requirements: Iterable[str]) -> Iterator[str]:
    """Each requirement as the lock has it, extras kept, without the hashes, which come from the lock itself."""
    pins = {name_of(line): line.split("==")[1].split()[0] for line in LOCK.read_text().splitlines() if "==" in line}
    for requirement in requirements:
        name = name_of(requirement)
        if name not in pins:
            raise SystemExit(f"cairn: {name} is not in requirements.lock: `make lock`")
        extras = re.search(r"\[.*?\]", requirement)
        marker = requirement.partition(";")[2]
        yield f"{name}{extras[0] if extras else ''}=={pins[name]}" + (f" ;{marker}" if marker else "")


def main(command: str, *groups: str) -> None:
    folders, others = closure(groups)
    if command == "workspace":
        lines: Iterable[object] = folders
    elif command == "pinned":
        lines = pinned(others)
    else:
        lines = others
    for line in dict.fromkeys(lines):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
