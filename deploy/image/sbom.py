"""Prints what this Python has installed, as a CycloneDX 1.6 bill of materials: the same bytes for the same packages."""

import json
import re
from importlib.metadata import Distribution, distributions
from typing import Any


def component(package: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    purl = f"pkg:pypi/{name}@{package.version}"
    said = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
    # Some packages put the whole text there.
    licence = {"licenses": [{"license": {"name": said}}]} if 0 < len(said) < 80 else {}
    return {"type": "library", "bom-ref": purl, "name": name, "version": package.version, "purl": purl, **licence}


def bill(packages: list[Distribution]) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "cairn", "name": "cairn"}},
        "components": sorted((component(package) for package in packages), key=lambda each: each["purl"]),
    }


if __name__ == "__main__":
    print(json.dumps(bill(list(distributions())), indent=1))  # noqa: T201 - a command's answer
