"""The Kubernetes manifests as `kubectl kustomize` puts them together, and the compose file."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cairn.provision.kubectl import kubectl

ROOT = Path(__file__).parents[2]
Object = dict[str, Any]
OVERLAYS = ("dev", "staging", "prod")
SERVICES = ("issuance", "pathways", "verification")


@cache
def render(overlay: str) -> list[Object]:
    """Every object of the overlay; the values of secrets as text."""
    folder = ROOT / "deploy/k8s/overlays" / overlay
    done = subprocess.run([kubectl(), "kustomize", folder], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    objects: list[Object] = list(yaml.safe_load_all(done.stdout))
    for thing in objects:
        if thing["kind"] == "Secret":
            thing["stringData"] = {key: base64.b64decode(text).decode() for key, text in thing.pop("data").items()}
    return objects


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Object]:
    """Every object of one overlay, for each of them in turn."""
    return render(request.param)


@pytest.fixture
def dev() -> list[Object]:
    """Every object of the overlay for development."""
    return render("dev")


@pytest.fixture(scope="session")
def compose() -> Object:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def pod(thing: Object) -> Object | None:
    """The pod that a workload starts; None for what starts none."""
    if thing["apiVersion"] not in {"apps/v1", "batch/v1"}:
        return None
    return thing["spec"]["template"]["spec"]


def containers(thing: Object) -> Iterator[Object]:
    """Every container of a workload, those that run first included."""
    spec = pod(thing) or {}
    yield from spec.get("initContainers", ())
    yield from spec.get("containers", ())


def workloads(objects: list[Object]) -> list[Object]:
    return [thing for thing in objects if pod(thing) is not None]


def plain(name: str) -> str:
    """The name of a generated ConfigMap or Secret without its hash."""
    stem, _, tail = name.rpartition("-")
    return stem if stem and len(tail) == 10 and tail.isalnum() else name


def named(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by name; a generated name without its hash."""
    return {plain(thing["metadata"]["name"]): thing for thing in objects if thing["kind"] == kind}


def env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def environment(objects: list[Object], workload: str, container: int = -1) -> dict[str, str]:
    """The environment of a container of the workload, the last by default, as the kubelet makes it.

    Of a secret which an ExternalSecret will make only the keys are known: the values are made up of their names.
    """
    data = {(x["kind"], x["metadata"]["name"]): x.get("data", x.get("stringData")) for x in objects}
    for name, thing in named(objects, "ExternalSecret").items():
        target = thing["spec"]["target"]
        made = target.get("template", {}).get("data") or {each["secretKey"]: "" for each in thing["spec"]["data"]}
        data["Secret", target.get("name", name)] = {key: f"{name}.{key}" for key in made}
    [thing] = [x for x in workloads(objects) if x["metadata"]["name"] == workload]
    chosen = list(containers(thing))[container]
    env: dict[str, str] = {}
    for source in chosen.get("envFrom", ()):
        env |= data["ConfigMap", source["configMapRef"]["name"]] if "configMapRef" in source else {}
        env |= data["Secret", source["secretRef"]["name"]] if "secretRef" in source else {}
    for variable in chosen["env"]:
        if "value" in variable:
            env[variable["name"]] = _expanded(variable["value"], env)
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            env[variable["name"]] = data["Secret", reference["name"]][reference["key"]]
    return env


def _expanded(value: str, env: dict[str, str]) -> str:
    for name in env:
        value = value.replace(f"$({name})", env[name])
    assert "$(" not in value, f"{value}: nothing has that name yet"
    return value


Environment = Callable[[str], dict[str, str]]
