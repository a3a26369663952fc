"""The inverted index may bring in too much, and never too little."""

from cairn.pathways.domain import ANYTHING, holding_keys, index, index_keys, parse_framework, parse_holding


def keys(make, selector, **more):
    requirement = {"id": "leaf", "count": {"min": 1}, "from": selector}
    return index_keys(parse_framework(make.framework(requirement, **more)))


def test_one_key_of_a_conjunction_is_enough_and_it_is_the_most_telling(make):
    assert keys(make, {"issuer": ["i"], "achievement": ["a", "b"]}) == {"achievement:a", "achievement:b"}
    assert keys(make, {"allOf": [{"issuer": ["i"]}, {"tag": ["t"]}], "grade": {"min": "0.7"}}) == {"tag:t"}
    assert keys(make, {"anyOf": [{"tag": ["t"]}, {"level": {"framework": "EQF", "min": 6}}]}) == {"tag:t", "level:EQF"}


def test_what_cannot_be_indexed_stands_under_the_wildcard(make):
    assert keys(make, {}) == {ANYTHING}
    assert keys(make, {"not": {"tag": ["t"]}}) == {ANYTHING}
    assert keys(make, {"anyOf": [{"tag": ["t"]}, {"grade": {"min": "0.7"}}]}) == {"tag:t", ANYTHING}
    assert keys(make, {"earned": {"withinMonths": 6}}) == {ANYTHING}


def test_equivalents_are_included(make):
    found = keys(make, {"achievement": ["thesis"]}, equivalents=[["thesis", "dissertation"]])
    assert found == {"achievement:thesis", "achievement:dissertation"}


def test_nested_qualifications_go_by_their_awards(make):
    read = parse_framework(make.framework({"id": "n", "qualification": "q/mini"}))
    assert index_keys(read) == {"qualification:q/mini"}
    assert index_keys(read, {"q/mini": ["a/mini"]}) == {"qualification:q/mini", "achievement:a/mini"}


def test_a_holding_touches_whatever_it_answers_and_its_attempts_answer(make):
    held = parse_holding(make.holding("h1", "a", tag=["t"], level={"EQF": 6}, source="lms", mode="online"))
    issuer = "issuer:did:web:uni.example"
    own = {ANYTHING, issuer, "achievement:a", "tag:t", "level:EQF", "source:lms", "mode:online"}
    assert holding_keys(held) == own
    retake = parse_holding(make.holding("h2", "b", attemptOf="h1"))
    assert holding_keys(held, [retake, held]) == own | {"achievement:b"}


def test_a_holding_of_any_size_is_not_kept(make):
    small = parse_holding(make.holding("h1", "a", tag=["t"]))
    large = parse_holding(make.holding("h1", "a", tag=[f"{number:0100}" for number in range(50)]))
    index._kept_keys.cache_clear()
    for _ in range(2):
        assert len(holding_keys(large)) == len(holding_keys(small)) + 49
    assert index._kept_keys.cache_info().currsize == 1
