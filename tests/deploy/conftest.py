"""The Kubernetes manifests as `kubectl kustomize` puts them together, as far as ours need it: so that none is needed.

What it leaves out is the hash in the names of generated ConfigMaps and Secrets.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Object = dict[str, Any]
_KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "labels", "images", "namePrefix", "patches"),
    *("configMapGenerator", "secretGenerator"),
}


@pytest.fixture(scope="session")
def manifests() -> list[Object]:
    """Every object of the overlay for development."""
    return render(ROOT / "deploy/k8s/overlays/dev")


@pytest.fixture(scope="session")
def compose() -> Object:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def render(folder: Path) -> list[Object]:
    recipe: Object = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert recipe.keys() <= _KNOWN, f"{folder}: teach this file about {recipe.keys() - _KNOWN}"
    objects: list[Object] = []
    for resource in recipe.get("resources", ()):
        path = folder / resource
        objects += render(path) if path.is_dir() else [*yaml.safe_load_all(path.read_text())]
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in recipe.get(key, ()):
            _generate(objects, kind, generator, folder)
    for patch in recipe.get("patches", ()):
        for thing in objects:
            if re.fullmatch(patch["target"]["kind"], thing["kind"]):
                for operation in yaml.safe_load(patch["patch"]):
                    _replace(thing, operation)
    for thing in objects:
        if thing["kind"] != "Namespace":
            thing["metadata"]["name"] = recipe.get("namePrefix", "") + thing["metadata"]["name"]
            if "namespace" in recipe:
                thing["metadata"]["namespace"] = recipe["namespace"]
        for label in recipe.get("labels", ()):
            _label(thing, label)
        for container in containers(thing):
            for image in recipe.get("images", ()):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def pod(thing: Object) -> Object | None:
    """The pod that a workload starts; None for what starts none."""
    return thing.get("spec", {}).get("template", {}).get("spec")


def containers(thing: Object) -> Iterator[Object]:
    """Every container of a workload, those that run first included."""
    spec = pod(thing) or {}
    yield from spec.get("initContainers", ())
    yield from spec.get("containers", ())


def env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _generate(objects: list[Object], kind: str, generator: Object, folder: Path) -> None:
    data: dict[str, str] = {}
    for name in generator.get("envs", ()):
        data |= env_file(folder / name)
    for name in generator.get("files", ()):
        data[Path(name).name] = (folder / name).read_text()
    key = "data" if kind == "ConfigMap" else "stringData"
    if generator.get("behavior") == "merge":
        [there] = [x for x in objects if x["kind"] == kind and x["metadata"]["name"] == generator["name"]]
        there[key] |= data
    else:
        objects.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, key: data})


def _replace(thing: Any, operation: Object) -> None:
    assert operation["op"] == "replace"
    *way, last = [int(step) if step.isdigit() else step for step in operation["path"].split("/")[1:]]
    for step in way:
        thing = thing[step]
    assert thing[last] is not None  # `replace` wants something there
    thing[last] = operation["value"]


def _label(thing: Object, label: Object) -> None:
    pairs = label["pairs"]
    thing["metadata"].setdefault("labels", {}).update(pairs)
    if pod(thing) is not None:
        thing["spec"]["template"]["metadata"]["labels"] |= pairs
    if label.get("includeSelectors"):
        if thing["kind"] == "Service":
            thing["spec"]["selector"] |= pairs
        elif thing["kind"] in {"Deployment", "StatefulSet"}:
            thing["spec"]["selector"]["matchLabels"] |= pairs
