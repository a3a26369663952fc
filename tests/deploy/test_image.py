"""The image and the compose file."""

import importlib.util
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from typing import Any

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.unit
Object = dict[str, Any]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_runs_as_a_number_that_is_not_root():
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "# syntax=" not in DOCKERFILE


def test_nothing_comes_into_the_image_without_its_hash():
    installs = re.findall(r"pip install(.*?)(?=&&|\n[A-Z])", DOCKERFILE, re.DOTALL)
    assert len(installs) == 4
    for arguments in installs:
        assert "--require-hashes" in arguments or "--offline --no-deps" in arguments


def test_the_image_holds_no_tool_of_development():
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert [line for line in allowed if line.startswith("!dev")] == ["!dev/requirements.py"]
    assert not re.search(r"onebox|provision", DOCKERFILE)


def test_the_bill_of_materials_names_every_package_once():
    script = [sys.executable, ROOT / "deploy/image/sbom.py"]
    said = json.loads(subprocess.run(script, check=True, capture_output=True).stdout)
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    purls = [each["purl"] for each in said["components"]]
    assert purls == sorted(set(purls))
    assert f"pkg:pypi/fastapi@{version('fastapi')}" in purls
    assert "pkg:pypi/cairn-common@0.1.0" in purls
    assert "sbom.py > /opt/cairn/sbom.cdx.json" in DOCKERFILE


def test_compose_starts_only_what_is_confined_and_watched(compose: Object):
    once = {"databases", "topics", "issuance-migrate", "pathways-migrate", "verification-migrate"}
    for name, service in compose["services"].items():
        ours = str(service["image"]).find("cairn:dev") >= 0
        if ours or name == "gateway":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert "no-new-privileges:true" in service["security_opt"]
        if name in once:
            assert service["restart"] == "on-failure:5"
        else:
            assert service["restart"] == "unless-stopped"
            assert ours or "healthcheck" in service  # ours have the image's own


def test_compose_waits_for_what_each_part_needs(compose: Object):
    ends, healthy = "service_completed_successfully", "service_healthy"
    for service in ("issuance", "pathways", "verification"):
        for part in ("api", "worker"):
            needs = compose["services"][f"{service}-{part}"]["depends_on"]
            assert needs == {"topics": {"condition": ends}, f"{service}-migrate": {"condition": ends}}
        assert compose["services"][f"{service}-migrate"]["depends_on"] == {"databases": {"condition": ends}}
    assert compose["services"]["databases"]["depends_on"] == {"postgres": {"condition": healthy}}
    assert compose["services"]["topics"]["depends_on"] == {"kafka": {"condition": healthy}}


def test_compose_publishes_one_port_on_loopback(compose: Object):
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:${CAIRN_PORT:-8080}:8080"]}


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_the_health_check_believes_readyz(status: int, ready: bool):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object): ...  # noqa: A002 - the name is given

    spec = importlib.util.spec_from_file_location("healthy", ROOT / "deploy/image/healthy.py")
    assert spec
    assert spec.loader
    healthy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(healthy)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert healthy.ready(server.server_port) is ready
    assert healthy.ready(server.server_port) is False
