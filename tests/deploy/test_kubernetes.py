"""The manifests in deploy/k8s: valid, complete in their references, and safe by the restricted profile."""

import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from .conftest import OVERLAYS, ROOT, SERVICES, containers, environment, named, plain, pod, render, workloads

pytestmark = pytest.mark.unit
Object = dict[str, Any]
VERSION = "1.34"
BUILT_IN = {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "autoscaling/v2"}
SCHEMAS = {
    path.stem: jsonschema.Draft202012Validator(json.loads(path.read_text()))
    for path in (ROOT / "tests/deploy/schemas").glob("*.json")
}


def check(thing: Object) -> None:
    """Raises a ValidationError for a field that Kubernetes, or the operator that it is for, does not know."""
    if thing["apiVersion"] in BUILT_IN:
        kubernetes_validate.validate(thing, VERSION, strict=True)
    else:
        SCHEMAS[".".join([thing["kind"], *thing["apiVersion"].split("/")])].validate(thing)


def test_the_schemas_of_the_operators_are_schemas():
    for validator in SCHEMAS.values():
        validator.check_schema(validator.schema)


def test_every_object_is_valid_to_the_last_field(manifests: list[Object]):
    for thing in manifests:
        check(thing)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("Deployment", '"runAsNonRoot"', '"runAsNonroot"'),
        ("Cluster", '"passwordSecret"', '"passwordSecrets"'),
        ("KafkaUser", '"patternType"', '"pattern"'),
        ("ScaledObject", '"maxReplicaCount"', '"maxReplicas"'),
        ("HTTPRoute", '"replacePrefixMatch"', '"replacePrefix"'),
        ("PrometheusRule", '"expr"', '"expression"'),
        ("ExternalSecret", '"remoteRef"', '"remoteref"'),
    ],
)
def test_a_misspelt_field_is_seen(kind: str, right: str, wrong: str):
    thing = next(iter(named(render("prod"), kind).values()))
    text = json.dumps(thing)
    assert right in text
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        check(json.loads(text.replace(right, wrong)))


def test_the_whole_system_is_there(manifests: list[Object]):
    assert {f"{s}-{p}" for s in SERVICES for p in ("api", "worker")} <= set(named(manifests, "Deployment"))
    assert {f"{service}-migrate" for service in SERVICES} <= set(named(manifests, "Job"))
    assert {thing["metadata"].get("namespace") for thing in manifests if thing["kind"] != "Namespace"} == {"cairn"}


def test_development_needs_no_operator(dev: list[Object]):
    assert {thing["apiVersion"] for thing in dev} <= BUILT_IN
    assert set(named(dev, "StatefulSet")) == {"postgres", "kafka"}
    assert set(named(dev, "Deployment")) == {"gateway"} | {f"{s}-{p}" for s in SERVICES for p in ("api", "worker")}


def test_staging_is_production_in_every_kind_of_object():
    staging, prod = ({(x["kind"], plain(x["metadata"]["name"])) for x in render(o)} for o in ("staging", "prod"))
    assert staging == prod


def test_selectors_choose_the_pods_of_one_workload(manifests: list[Object]):
    pods = {w["metadata"]["name"]: w["spec"]["template"]["metadata"]["labels"] for w in workloads(manifests)}

    def chosen(selector: Object) -> list[str]:
        return [name for name, labels in pods.items() if selector.items() <= labels.items()]

    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        for name, thing in named(manifests, kind).items():
            assert chosen(thing["spec"]["selector"]["matchLabels"]) == [name]
    for name, thing in named(manifests, "Service").items():
        assert chosen(thing["spec"]["selector"]) == [name]
    for kind in ("ServiceMonitor", "PodMonitor"):
        for name, thing in named(manifests, kind).items():
            labels = thing["spec"]["selector"]["matchLabels"]
            if name == "postgres":
                assert labels == {"cnpg.io/podRole": "instance"}, "as CloudNativePG marks its servers"
            else:
                part = name.removesuffix("s")
                assert set(chosen(labels)) == {f"{s}-{part[:6]}" for s in SERVICES}


def test_pods_are_restricted(manifests: list[Object]):
    [namespace] = named(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for thing in workloads(manifests):
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
    for thing in workloads(manifests):
        for container in containers(thing):
            resources = container["resources"]
            assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}
            name, _, tag = container["image"].partition(":")
            assert name
            assert tag not in {"", "latest"}


@pytest.mark.parametrize("overlay", ["staging", "prod"])
def test_what_goes_into_production_is_named_by_its_digest(overlay: str):
    images = {container["image"] for thing in workloads(render(overlay)) for container in containers(thing)}
    assert len(images) == 1
    assert all("@sha256:" in image for image in images)


def test_what_serves_has_probes_and_what_ends_is_removed(manifests: list[Object]):
    for thing in workloads(manifests):
        if thing["kind"] == "Job":
            assert thing["spec"]["ttlSecondsAfterFinished"] > 0
            assert thing["spec"]["activeDeadlineSeconds"] > 0
            continue
        spec = pod(thing)
        assert spec is not None
        [container] = spec["containers"]
        if "cairn" in container["image"]:
            paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness")}
            # A database that is away must take pods out of service, and must not restart them.
            assert paths == {"startup": "/livez", "readiness": "/readyz"}
            assert "livenessProbe" not in container
        else:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_r16_a_rollout_never_takes_away_what_serves(manifests: list[Object]):
    for name, thing in named(manifests, "Deployment").items():
        spec = pod(thing)
        assert spec
        assert thing["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        if name == "gateway":
            continue
        [container] = spec["containers"]
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"] if name.endswith("-api") else 0
        drain = float(environment(manifests, name).get("CAIRN_DRAIN_SECONDS", 10))
        assert spec["terminationGracePeriodSeconds"] > pause + drain
        [waiter] = spec["initContainers"]
        assert waiter["image"] == container["image"], "it waits for what this very image needs"
        assert waiter["command"][-1].endswith("migrated.py")


def test_s21_only_migrations_and_the_making_of_databases_hold_an_owners_password(manifests: list[Object]):
    holders = {t["metadata"]["name"] for t in workloads(manifests) if "-owner" in json.dumps(pod(t))}
    assert holders - {"databases"} == {f"{service}-migrate" for service in SERVICES}


def test_every_reference_leads_somewhere(manifests: list[Object]):
    maps = {thing["metadata"]["name"] for thing in manifests if thing["kind"] == "ConfigMap"}
    hidden = {thing["metadata"]["name"] for thing in manifests if thing["kind"] == "Secret"}
    hidden |= {thing["spec"]["target"]["name"] for thing in manifests if thing["kind"] == "ExternalSecret"}
    # What operators make.
    hidden |= {f"{name}-ca" for name in named(manifests, "Cluster")}
    hidden |= {f"{name}-cluster-ca-cert" for name in named(manifests, "Kafka")}
    used: set[str] = set()
    for thing in workloads(manifests):
        for container in containers(thing):
            for source in container.get("envFrom", ()):
                assert source.get("configMapRef", {}).get("name") in maps | {None}
                used |= {source["secretRef"]["name"]} if "secretRef" in source else set()
            for variable in container.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    used.add(reference["name"])
            mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
            claims = {claim["metadata"]["name"] for claim in thing["spec"].get("volumeClaimTemplates", ())}
            assert mounted <= {volume["name"] for volume in (pod(thing) or {}).get("volumes", ())} | claims
        for volume in (pod(thing) or {}).get("volumes", ()):
            assert volume.get("configMap", {}).get("name") in maps | {None}
            used |= {volume["secret"]["secretName"]} if "secret" in volume else set()
    for thing in named(manifests, "Cluster").values():
        used |= {thing["spec"]["bootstrap"]["initdb"]["secret"]["name"]}
        used |= {role["passwordSecret"]["name"] for role in thing["spec"]["managed"]["roles"]}
    assert used == hidden, "every secret is used, and every one that is used is there"


def test_a_service_holds_no_secret_of_another(manifests: list[Object]):
    for service in SERVICES:
        for name, thing in named(manifests, "Deployment").items():
            if name.startswith(f"{service}-"):
                held = {s["secretRef"]["name"] for c in containers(thing) for s in c["envFrom"] if "secretRef" in s}
                assert {plain(name) for name in held} == {service}


def test_the_gateway_leads_to_every_service(dev: list[Object]):
    nginx = named(dev, "ConfigMap")["gateway"]["data"]["nginx.conf"]
    ports = {name: thing["spec"]["ports"][0]["port"] for name, thing in named(dev, "Service").items()}
    routes = named(render("prod"), "HTTPRoute")
    for service in SERVICES:
        assert f"location /{service}/ {{ proxy_pass http://{service}/; }}" in nginx
        assert f"server {service}-api:{ports[f'{service}-api']};" in nginx
        [closed, through] = routes[service]["spec"]["rules"]
        assert closed == {"matches": [{"path": {"type": "Exact", "value": f"/{service}/metrics"}}]}
        assert through["backendRefs"] == [{"name": f"{service}-api", "port": ports[f"{service}-api"]}]


def test_the_script_that_makes_databases_is_the_one_that_tests_use():
    theirs = ROOT / "deploy/k8s/components/single/postgres/database.sql"
    assert theirs.read_text() == (ROOT / "dev/provision/src/cairn/provision/postgres/database.sql").read_text()


def test_kubernetes_and_compose_name_the_same_images(dev: list[Object], compose: Object):
    ours = {c["image"] for thing in workloads(dev) for c in containers(thing)}
    theirs = {yaml.safe_load(image.split(":-")[1].rstrip("}")) for image in compose["x-images"].values()}
    assert ours == theirs


def test_the_overlays_are_those_that_are_there():
    assert {path.name for path in (ROOT / "deploy/k8s/overlays").iterdir()} == set(OVERLAYS)
