"""What production asks of operators: rights on Kafka, roles in PostgreSQL, numbers of workers; who speaks to whom."""

import importlib
from typing import Any

import pytest
from pydantic import SecretStr

from cairn.common.bus.kafka_topics import grants
from cairn.common.events.topics import topics

from .conftest import SERVICES, environment, named, render, workloads
from .test_environment import PARTS

pytestmark = pytest.mark.unit
Object = dict[str, Any]
# Read by the PostgreSQL driver itself.
DRIVERS = {"PGSSLMODE", "PGSSLROOTCERT"}


@pytest.fixture(params=["staging", "prod"])
def site(request: pytest.FixtureRequest) -> list[Object]:
    return render(request.param)


def test_strimzi_makes_the_topics_of_the_table(site: list[Object]):
    made = {
        name: (thing["spec"]["partitions"], thing["spec"]["config"]["retention.ms"])
        for name, thing in named(site, "KafkaTopic").items()
    }
    assert made == {
        topic.name: (topic.partitions, -1 if topic.retention is None else topic.retention.total_seconds() * 1000)
        for topic in topics().values()
    }
    for thing in named(site, "KafkaTopic").values():
        assert (thing["spec"]["replicas"], thing["spec"]["config"]["min.insync.replicas"]) == (3, 2)


def test_s33_strimzi_grants_what_we_grant_and_nothing_else(site: list[Object]):
    given = {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"], user, operation)
        for user, thing in named(site, "KafkaUser").items()
        for acl in thing["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }
    spelt = {"literal": "literal", "prefixed": "prefix"}
    ours = {
        (g.resource.name.lower(), g.name, spelt[g.pattern.name.lower()], g.user, g.operation.name.capitalize())
        for g in grants(topics().values())
    }
    assert given == ours
    assert {user for _, name, _, user, operation in given if (name, operation) == ("qualifications", "Write")} == {
        "pathways"
    }


def test_s33_kafka_refuses_who_does_not_say_who_they_are(site: list[Object]):
    [kafka] = named(site, "Kafka").values()
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    for listener in kafka["spec"]["kafka"]["listeners"]:
        assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})


def test_s21_a_service_runs_as_a_role_that_owns_nothing(site: list[Object]):
    clusters = named(site, "Cluster")
    assert set(clusters) == {f"{service}-postgres" for service in SERVICES}
    for service in SERVICES:
        spec = clusters[f"{service}-postgres"]["spec"]
        [role] = spec["managed"]["roles"]
        assert role["name"] == service
        assert {role[right] for right in ("superuser", "bypassrls", "createdb", "createrole", "replication")} == {False}
        assert spec["enableSuperuserAccess"] is False
        initdb = spec["bootstrap"]["initdb"]
        assert (initdb["database"], initdb["owner"]) == (service, f"{service}_owner")
        logins = {each["metadata"]["name"]: each["spec"] for each in named(site, "ExternalSecret").values()}
        for secret, user in ((role["passwordSecret"], service), (initdb["secret"], f"{service}_owner")):
            assert logins[secret["name"]]["target"]["template"]["data"]["username"] == user


def test_a_postgres_that_is_told_to_go_waits_for_no_connection(site: list[Object]):
    for cluster in named(site, "Cluster").values():
        assert cluster["spec"]["smartShutdownTimeout"] == 0
        assert "monitoring" not in cluster["spec"], "the PodMonitor of components/monitoring reads all of them"


def test_each_service_is_told_of_its_own_database_and_of_kafka(site: list[Object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAIRN_KEK", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    for service in SERVICES:
        module = importlib.import_module(f"cairn.{service}.settings")
        kind = getattr(module, f"{service.capitalize()}Settings")
        for part in ("api", "worker", "migrate"):
            env = environment(site, f"{service}-{part}")
            fields = {f"CAIRN_{name.upper()}" for name in kind.model_fields}
            assert env.keys() - fields - PARTS == DRIVERS
            with pytest.MonkeyPatch.context() as told:
                for name, value in env.items():
                    if name != "CAIRN_KEK":
                        told.setenv(name, value)
                settings = kind()
            url: SecretStr = settings.database_url
            assert url.get_secret_value().endswith(f"@{service}-postgres-rw:5432/{service}")
            assert (settings.environment, settings.kafka_security_protocol) == ("production", "SASL_SSL")
            assert env["PGSSLMODE"] == "verify-full"
        assert environment(site, f"{service}-api", 0)["CAIRN_DATABASE_URL"] == url.get_secret_value()


def test_workers_follow_the_lag_of_what_they_read(site: list[Object]):
    scaled = named(site, "ScaledObject")
    [(kafka, cluster)] = named(site, "Kafka").items()
    [listener] = cluster["spec"]["kafka"]["listeners"]
    [ours] = named(site, "Namespace")
    for service in SERVICES:
        spec = scaled[f"{service}-worker"]["spec"]
        heard = importlib.import_module(f"cairn.{service}.consumers").TOPICS
        lags = [trigger["metadata"] for trigger in spec["triggers"] if trigger["type"] == "kafka"]
        assert {lag["topic"] for lag in lags} == set(heard)
        assert {lag["consumerGroup"] for lag in lags} == {service}
        # Asked from KEDA's namespace, where a name without ours means nothing.
        assert {lag["bootstrapServers"] for lag in lags} == {f"{kafka}-kafka-bootstrap.{ours}.svc:{listener['port']}"}
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
        assert spec["maxReplicaCount"] <= max(topics()[topic].partitions for topic in heard)


def test_everything_scales_and_is_disrupted_one_pod_at_a_time(site: list[Object]):
    deployments = set(named(site, "Deployment"))
    targets = [*named(site, "HorizontalPodAutoscaler").values(), *named(site, "ScaledObject").values()]
    assert {thing["spec"]["scaleTargetRef"]["name"] for thing in targets} == deployments
    assert all("replicas" not in thing["spec"] for thing in named(site, "Deployment").values())
    budgets = named(site, "PodDisruptionBudget")
    assert set(budgets) == deployments
    assert {thing["spec"]["maxUnavailable"] for thing in budgets.values()} == {1}
    for thing in named(site, "Deployment").values():
        spread = thing["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {each["topologyKey"] for each in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def _allowed(objects: list[Object], labels: Object, way: str) -> list[Object]:
    """The rules of all policies that choose pods with these labels."""
    rules: list[Object] = []
    for policy in named(objects, "NetworkPolicy").values():
        selector = policy["spec"]["podSelector"]
        if not selector.get("matchLabels", {}).items() <= labels.items():
            continue
        if all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())):
            rules += policy["spec"].get(way, [])
    return rules


def test_nobody_speaks_to_anybody_unless_a_policy_says_so(manifests: list[Object]):
    nothing = named(manifests, "NetworkPolicy")["nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for thing in workloads(manifests):
        labels = thing["spec"]["template"]["metadata"]["labels"]
        for rule in _allowed(manifests, labels, "egress"):
            for peer in rule["to"]:
                if "ipBlock" not in peer:
                    continue
                assert labels["app.kubernetes.io/name"] == "verification", "who signs has no way out of the cluster"
                assert labels["app.kubernetes.io/component"] != "migrate"
        if labels["app.kubernetes.io/component"] in {"migrate", "databases", "topics"}:
            assert _allowed(manifests, labels, "ingress") == []


def test_each_service_reaches_its_own_postgres_alone(site: list[Object]):
    for thing in workloads(site):
        labels = thing["spec"]["template"]["metadata"]["labels"]
        peers = [peer for rule in _allowed(site, labels, "egress") for peer in rule["to"]]
        clusters = {peer.get("podSelector", {}).get("matchLabels", {}).get("cnpg.io/cluster") for peer in peers}
        assert clusters - {None} == {f"{labels['app.kubernetes.io/name']}-postgres"}


def test_verification_alone_reaches_the_gateway_whose_pods_may_come_to_the_apis(site: list[Object]):
    gateway = {"namespaceSelector": {"matchLabels": {"cairn.example.edu/gateway": "true"}}}

    def peers(way: str, end: str) -> set[str]:
        labels = {t["metadata"]["name"]: t["spec"]["template"]["metadata"]["labels"] for t in workloads(site)}
        return {name for name, has in labels.items() if any(gateway in r[end] for r in _allowed(site, has, way))}

    assert peers("ingress", "from") == {f"{service}-api" for service in SERVICES}
    assert peers("egress", "to") == {"verification-api", "verification-worker"}
