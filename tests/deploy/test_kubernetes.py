"""The manifests in deploy/k8s: valid, complete in their references, and safe by the restricted profile."""

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml

from .conftest import ROOT, containers, pod

pytestmark = pytest.mark.unit
Object = dict[str, Any]
SERVICES = ("issuance", "pathways", "verification")
VERSION = "1.34"


def _workloads(manifests: list[Object]) -> list[Object]:
    return [thing for thing in manifests if pod(thing) is not None]


def _named(manifests: list[Object], kind: str) -> dict[str, Object]:
    return {thing["metadata"]["name"]: thing for thing in manifests if thing["kind"] == kind}


def test_every_object_is_valid_to_the_last_field(manifests: list[Object]):
    for thing in manifests:
        kubernetes_validate.validate(thing, VERSION, strict=True)
    misspelt = json.loads(json.dumps(_workloads(manifests)[0]).replace('"runAsNonRoot"', '"runAsNonroot"'))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, VERSION, strict=True)


def test_the_whole_system_is_there(manifests: list[Object]):
    assert set(_named(manifests, "Deployment")) == {"gateway"} | {
        f"{s}-{p}" for s in SERVICES for p in ("api", "worker")
    }
    assert set(_named(manifests, "StatefulSet")) == {"postgres", "kafka"}
    assert set(_named(manifests, "Job")) == {"databases", "topics"} | {f"{service}-migrate" for service in SERVICES}
    assert {thing["metadata"].get("namespace") for thing in manifests if thing["kind"] != "Namespace"} == {"cairn"}
    kinds = {thing["apiVersion"].partition("/")[0] for thing in manifests}
    assert kinds == {"v1", "apps", "batch"}, "nothing that needs an operator"


def test_selectors_choose_the_pods_of_one_workload(manifests: list[Object]):
    pods = {w["metadata"]["name"]: w["spec"]["template"]["metadata"]["labels"] for w in _workloads(manifests)}

    def chosen(selector: Object) -> list[str]:
        return [name for name, labels in pods.items() if selector.items() <= labels.items()]

    for kind in ("Deployment", "StatefulSet"):
        for name, thing in _named(manifests, kind).items():
            assert chosen(thing["spec"]["selector"]["matchLabels"]) == [name]
    for name, thing in _named(manifests, "Service").items():
        assert chosen(thing["spec"]["selector"]) == [name]


def test_pods_are_restricted(manifests: list[Object]):
    [namespace] = _named(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for thing in _workloads(manifests):
        spec = pod(thing)
        assert spec is not None
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        for container in containers(thing):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is (container["name"] != "kafka")


def test_every_container_has_bounds_and_a_fixed_image(manifests: list[Object]):
    for thing in _workloads(manifests):
        for container in containers(thing):
            resources = container["resources"]
            assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}
            name, _, tag = container["image"].partition(":")
            assert name
            assert tag not in {"", "latest"}


def test_what_serves_has_probes_and_what_ends_is_removed(manifests: list[Object]):
    for thing in _workloads(manifests):
        if thing["kind"] == "Job":
            assert thing["spec"]["ttlSecondsAfterFinished"] > 0
            assert thing["spec"]["activeDeadlineSeconds"] > 0
            continue
        spec = pod(thing)
        assert spec is not None
        [container] = spec["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        if container["image"].startswith("cairn:"):
            paths = {
                kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
            }
            # A database that is away must take pods out of service, and must not restart them.
            assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}


def test_every_reference_leads_somewhere(manifests: list[Object]):
    maps = {name: set(thing["data"]) for name, thing in _named(manifests, "ConfigMap").items()}
    hidden = {name: set(thing["stringData"]) for name, thing in _named(manifests, "Secret").items()}
    used: set[str] = set()
    for thing in _workloads(manifests):
        for container in containers(thing):
            for source in container.get("envFrom", ()):
                assert source.get("configMapRef", {"name": "cairn"})["name"] in maps
                used.add(source.get("secretRef", {"name": "postgres"})["name"])
            for variable in container.get("env", ()):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    used.add(reference["name"])
                    assert reference["key"] in hidden[reference["name"]]
        for volume in (pod(thing) or {}).get("volumes", ()):
            assert volume.get("configMap", {"name": "cairn"})["name"] in maps
    assert used == set(hidden), "every secret is used, and every one that is used is there"


def test_s21_only_migrations_and_the_making_of_databases_hold_an_owners_password(manifests: list[Object]):
    holders = {t["metadata"]["name"] for t in _workloads(manifests) if "-owner" in json.dumps(pod(t))}
    assert holders == {"databases"} | {f"{service}-migrate" for service in SERVICES}


def test_a_service_holds_no_secret_of_another(manifests: list[Object]):
    for service in SERVICES:
        for name, thing in _named(manifests, "Deployment").items():
            if name.startswith(f"{service}-"):
                held = {s["secretRef"]["name"] for c in containers(thing) for s in c["envFrom"] if "secretRef" in s}
                assert held == {service}


def test_the_gateway_leads_to_every_service(manifests: list[Object]):
    nginx = _named(manifests, "ConfigMap")["gateway"]["data"]["nginx.conf"]
    ports = {name: thing["spec"]["ports"][0]["port"] for name, thing in _named(manifests, "Service").items()}
    for service in SERVICES:
        assert f"location /{service}/ {{ proxy_pass http://{service}/; }}" in nginx
        assert f"upstream {service} {{ server {service}-api:{ports[f'{service}-api']};" in nginx


def test_the_script_that_makes_databases_is_the_one_that_tests_use():
    theirs = ROOT / "deploy/k8s/base/postgres/database.sql"
    assert theirs.read_text() == (ROOT / "dev/provision/src/cairn/provision/postgres/database.sql").read_text()


def test_kubernetes_and_compose_name_the_same_images(manifests: list[Object], compose: Object):
    ours = {c["image"] for thing in _workloads(manifests) for c in containers(thing)}
    theirs = {yaml.safe_load(image.split(":-")[1].rstrip("}")) for image in compose["x-images"].values()}
    assert ours == theirs
