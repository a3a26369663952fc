"""checkov finds nothing in the manifests but what is waived with a reason, and every waiver is needed."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from cairn.provision.checkov import checkov
from cairn.provision.kubectl import kubectl

from .conftest import OVERLAYS, ROOT

pytestmark = pytest.mark.unit
WAIVERS = ROOT / "deploy/k8s/checkov.yaml"


def test_checkov_finds_nothing_but_what_is_waived(tmp_path: Path):
    for overlay in OVERLAYS:
        rendered = subprocess.run(
            [kubectl(), "kustomize", ROOT / "deploy/k8s/overlays" / overlay], check=True, capture_output=True
        )
        (tmp_path / f"{overlay}.yaml").write_bytes(rendered.stdout)
    told = yaml.safe_load(WAIVERS.read_text())
    waived = set(told.pop("skip-check"))
    everything = tmp_path / "everything.yaml"
    everything.write_text(yaml.safe_dump(told | {"output": "json", "soft-fail": True}))
    files = [word for overlay in OVERLAYS for word in ("--file", str(tmp_path / f"{overlay}.yaml"))]
    done = subprocess.run(
        [checkov(), "--config-file", everything, *files], check=True, capture_output=True, text=True, timeout=300
    )
    said = json.loads(done.stdout)
    assert said["summary"]["parsing_errors"] == 0
    assert said["summary"]["passed"] > 1000
    failed = {(each["check_id"], each["resource"]) for each in said["results"]["failed_checks"]}
    assert {each for each in failed if each[0] not in waived} == set()
    assert {check for check, _ in failed} == waived, "a waiver that is not needed any more"
