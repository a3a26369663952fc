"""The quick walk equals the full JSON-LD processor on everything it accepts, and hands over the rest."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import CredentialError, Stack, StatusEntry, build_credential
from cairn.credentials.canonicalize import jsonld
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk
from cairn.credentials.secured import Secured

from .conftest import NOW, OWN, SHARED, make_draft

VC2 = "https://www.w3.org/ns/credentials/v2"
VC1 = "https://www.w3.org/2018/credentials/v1"
OB3 = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CONTEXTS = [
    VC2,
    OB3,
    "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.2.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.1.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/context.json",
    "https://w3id.org/dcc/v1",
    "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json",
    "https://w3id.org/security/data-integrity/v2",
    "https://w3id.org/security/suites/ed25519-2020/v1",
    "https://w3id.org/citizenship/v4rc1",
    "https://w3id.org/vc/status-list/2021/v1",
    "https://w3id.org/security/v2",
    "https://www.w3.org/ns/did/v1",
]


def _canonical(write: Callable[[dict[str, Any]], str], document: dict[str, Any]) -> str | None:
    """The canonical form, or None where the document is refused. HandOver is passed on."""
    try:
        return write(document)
    except CredentialError:
        return None


def _agrees(document: dict[str, Any]) -> bool:
    """Whether the walk took the document; that it then agrees is asserted."""
    try:
        quick = _canonical(lambda it: walk(it).canonical(), document)
    except HandOver:
        return False
    assert quick == _canonical(lambda it: canonical_nquads(jsonld.to_quads(it)), document), json.dumps(document)
    return True


def _samples() -> list[dict[str, Any]]:
    found = [
        build_credential(
            make_draft("did:web:uni.example", status=(StatusEntry(list_url="https://u.example/1", index=5),))
        )
    ]
    for folder in (OWN, SHARED):
        for path in sorted(folder.rglob("*.json")):
            document = json.loads(path.read_text())
            if isinstance(document, dict) and "@context" in document:
                found.append({key: value for key, value in document.items() if key != "proof"})
                for proof in (
                    document.get("proof", []) if isinstance(document.get("proof"), list) else [document.get("proof")]
                ):
                    if proof:
                        options = {key: value for key, value in proof.items() if key != "proofValue"}
                        found.append(options | {"@context": document["@context"]})
    return found


def _presented(credentials: list[dict[str, Any]]) -> dict[str, Any]:
    holder = {"@context": [VC2], "type": ["VerifiablePresentation"], "holder": "did:example:learner"}
    return holder | {"verifiableCredential": credentials}


SAMPLES = _samples()
SECURED = [
    document
    for folder in (OWN, SHARED)
    for path in sorted(folder.rglob("*.json"))
    if isinstance(document := json.loads(path.read_text()), dict) and "@context" in document and "proof" in document
]
PRESENTED = [_presented([document]) for document in SECURED]


def test_the_walk_agrees_on_every_fixture_and_takes_most() -> None:
    taken = [_agrees(document) for document in SAMPLES]
    assert sum(taken) > 0.7 * len(taken)


def test_the_walk_takes_what_the_builder_writes() -> None:
    stack = Stack.model_validate(
        {
            "framework": "https://uni.example/q",
            "version": "1",
            "auditDigest": "ab" * 32,
            "components": [{"credential": "urn:x:1", "achievement": "urn:x:2", "issuer": "did:web:u.example"}],
        }
    )
    for draft in (make_draft("did:web:u.example"), make_draft("did:web:u.example", stack=stack, valid_until=NOW)):
        assert _agrees(build_credential(draft))


TERMS = re.findall(
    r"\w+",
    """
    id type name description issuer credentialSubject validFrom validUntil credentialStatus evidence
    achievement criteria narrative alignment targetName targetUrl targetType result resultDescription value
    allowedValue creditsEarned image caption hashed identifier identityHash related inLanguage tag
    statusPurpose statusListIndex statusSize statusMessage message status proof proofPurpose
    verificationMethod created jsonSchema cnf kid jwk encodedList ttl creator address geo latitude endorsement
    termsOfUse refreshService relatedResource digestSRI mediaType issuanceDate holder _sd aud exp iat
    verifiableCredential association sourceId domain challenge birthDate givenName awardedDate awardedOnCompletionOf
    hasCredential
    """,
)
TYPES = re.findall(
    r"\w+",
    """
    VerifiableCredential OpenBadgeCredential AchievementCredential EndorsementCredential AchievementSubject
    Achievement Alignment Result ResultDescription Evidence Profile Image IdentityObject Address
    GeoCoordinates Related BitstringStatusListEntry BitstringStatusList BitstringStatusListCredential
    DataIntegrityProof JsonSchema VerifiablePresentation ClrCredential ClrSubject Association
    StatusList2021Entry PermanentResident Multikey Unknown
    """,
)
SCALARS = st.one_of(
    st.sampled_from(
        [*TYPES, "urn:x:1", "urn:x:2", "https://x.example/", "relative", "", "_:b", "xsd:date", "assertionMethod"]
    ),
    st.text(max_size=6),
    st.integers(-5, 5),
    st.floats(),
    st.booleans(),
    st.none(),
)
TYPE_VALUES = st.sampled_from(TYPES) | st.lists(st.sampled_from([*TYPES, "urn:x:type"]), max_size=3)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(st.sampled_from(TERMS), inner, max_size=5)
    typed = st.tuples(members, TYPE_VALUES).map(lambda pair: pair[0] | {"type": pair[1]})
    return st.one_of(members, typed, typed, st.lists(inner, max_size=3))


NODES = st.recursive(SCALARS, _objects, max_leaves=15)
DOCUMENTS = st.tuples(
    st.lists(st.sampled_from(CONTEXTS), min_size=1, max_size=3, unique=True),
    st.dictionaries(st.sampled_from(TERMS), NODES, max_size=6),
    TYPE_VALUES,
    st.sampled_from([VC2, VC1, None]),
).map(lambda parts: parts[1] | {"type": parts[2], "@context": ([parts[3]] if parts[3] else []) + parts[0]})
RELAXED = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@RELAXED
@given(DOCUMENTS)
def test_the_walk_agrees_on_random_documents(document: dict[str, Any]) -> None:
    _agrees(document)


def test_the_walk_agrees_on_every_fixture_with_its_proofs_in_a_presentation() -> None:
    taken = [_agrees(document) for document in PRESENTED]
    assert sum(taken) > 0.7 * len(taken)


def test_the_walk_tells_credentials_in_a_presentation_apart_however_alike() -> None:
    nameless = {key: value for key, value in SECURED[0].items() if key != "id"}
    assert _agrees(_presented([SECURED[0], *SECURED[:3], nameless]))
    assert _agrees(_presented([nameless, nameless]))
    assert _agrees(_presented([]))


def test_the_walk_knows_the_root_of_a_presentation_from_those_of_its_credentials() -> None:
    shown = _presented(SECURED[:1]) | {"id": "urn:x:1"}
    assert _agrees(shown)
    with pytest.raises(HandOver):
        walk(shown | {"holder": {"id": "urn:x:1", "name": "x"}})
    assert _agrees(_presented([SECURED[0] | {"issuer": {"id": SECURED[0]["id"], "name": "x"}}]))


PROOFS = st.fixed_dictionaries(
    {"type": st.just("DataIntegrityProof"), "cryptosuite": st.just("eddsa-jcs-2022")},
    optional={"@context": st.lists(st.sampled_from(CONTEXTS), max_size=2), "created": SCALARS, "id": SCALARS},
)


SHOWN = st.sampled_from(SECURED) | st.tuples(
    st.sampled_from(SECURED) | DOCUMENTS, PROOFS | SCALARS | st.lists(PROOFS | SCALARS, max_size=2)
).map(lambda parts: parts[0] | {"proof": parts[1]})


@settings(RELAXED, max_examples=150)
@given(st.lists(SHOWN, max_size=3), st.none() | PROOFS)
def test_the_walk_agrees_on_random_presentations(shown: list[dict[str, Any]], proof: dict[str, Any] | None) -> None:
    _agrees(_presented(shown) | ({} if proof is None else {"proof": proof}))


@RELAXED
@given(st.sampled_from([*SAMPLES, *PRESENTED]), st.sampled_from(TERMS), NODES | TYPE_VALUES, st.data())
def test_the_walk_agrees_on_grafted_credentials(sample: Any, key: str, value: Any, data: st.DataObject) -> None:
    document = copy.deepcopy(sample)
    nodes = [document]
    for node in nodes:
        nodes.extend(
            child
            for name, member in node.items()
            if name != "@context"
            for child in (member if isinstance(member, list) else [member])
            if isinstance(child, dict)
        )
    node = data.draw(st.sampled_from(nodes))
    node[data.draw(st.sampled_from([key, *(name for name in node if name != "@context")]))] = value
    _agrees(document)


@pytest.mark.parametrize(
    "change",
    [
        {"@context": [VC2, {"x": "https://x.example/x"}]},
        {"@context": VC2, "credentialSubject": {"@context": OB3, "type": ["AchievementSubject"]}},
        {"@context": [VC2, "https://www.w3.org/ns/credentials/examples/v2"], "anything": "x"},
        {"name": {"@value": "x", "@language": "en"}},
        {"https://x.example/y": "x"},
        {"unknown": "x"},
        {"id": None},
        {"@context": "https://unknown.example/"},
        {"@context": None},
        {"@context": [VC2] * 9},
        {"proof": {"type": "DataIntegrityProof"}},
        {"proof": None},
        {"proof": [None]},
        {"proof": [[{"type": "DataIntegrityProof", "created": "2026-03-01T00:00:00Z"}]]},
        {"type": ["VerifiablePresentation"], "verifiableCredential": None},
        {"type": ["VerifiablePresentation"], "verifiableCredential": "urn:x:2"},
        {"type": ["VerifiablePresentation"], "verifiableCredential": {"type": ["VerifiableCredential"], "name": "x"}},
    ],
)
def test_the_walk_hands_over_what_it_does_not_know(change: dict[str, Any]) -> None:
    with pytest.raises(HandOver):
        walk({"@context": [VC2], "id": "urn:x:1", "type": ["VerifiableCredential"]} | change)


def test_a_type_that_is_null_is_handed_over_also_where_no_node_without_one_was_met_before() -> None:
    document = {
        "@context": [VC2, "https://www.w3.org/ns/did/v1"],
        "type": ["VerifiableCredential"],
        "issuer": "did:web:uni.example",
        "credentialSubject": {"id": "did:example:learner", "type": None},
    }
    with pytest.raises(HandOver):
        walk(document)


def test_contexts_are_found_wherever_they_stand_and_whatever_the_numbers() -> None:
    inner, proof = {"@context": "https://u.example/1"}, {"@context": VC2}
    assert Secured({"@context": [VC2], "issuer": inner}, "vc+jwt").context_names == (VC2, "https://u.example/1")
    assert Secured({"issuer": inner, "size": 2**100}, "vc+jwt").context_names == ("https://u.example/1",)
    assert Secured({"proof": proof, "issuer": inner}, "data-integrity", (proof,)).context_names == (
        VC2,
        "https://u.example/1",
    )
