"""What an event says of a holding is read in two ways: as it is where it is plain, and by the reader of JSON."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.common.events.models import Assessment, Credits, Grade, Holding, StatusEntry
from cairn.pathways.domain import Refused, parse_holding
from cairn.pathways.use_cases.telling import plain_holding

texts = st.sampled_from([*["a", "ü", "https://x.example/~1/"] * 9, ""])
some = st.lists(texts, max_size=3).map(tuple)
decimals = st.sampled_from(["0", "5", "7.50", "0.82", "1", "1.5", "-1", "1E+2", "1" * 13, "0." + "1" * 13])
instants = st.sampled_from(
    [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 9, 30, 0, 250, tzinfo=timezone(timedelta(hours=2))),
    ]
)
maybe = st.none() | texts
grades = st.builds(Grade, score=st.none() | decimals, points=st.none() | decimals, scale=maybe)
levels = st.dictionaries(st.sampled_from(["EQF", "Ω", ""]), st.sampled_from([0, 7, -1, 1_000_001]), max_size=2)
statuses = st.builds(StatusEntry, at=instants, state=st.sampled_from(["valid", "revoked", "unknown"]))
holdings = st.builds(
    Holding,
    id=texts,
    achievement=texts,
    issuer=texts,
    earned=instants,
    type=some,
    credits=st.none() | st.builds(Credits, value=decimals, unit=texts),
    level=levels,
    grade=st.none() | grades,
    area=some,
    tag=some,
    skill=some,
    assessment=st.none() | st.builds(Assessment, supervised=st.booleans(), identity_verified=st.booleans()),
    mode=maybe,
    source=st.sampled_from(["lms", "external", "rpl"]),
    accredited_by=some,
    valid_until=st.none() | instants,
    attempt_of=maybe,
    components=some,
    status=st.lists(statuses, max_size=2).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(holdings)
def test_a_plain_holding_is_what_the_reader_makes_of_it(said: Holding) -> None:
    found = plain_holding(said)
    try:
        read = parse_holding(said.to_json())
    except Refused:
        assert found is None
    else:
        assert found in (None, read)
        assert found is None or (found.canonical, found.body) == (read.canonical, read.body)


def test_holdings_such_as_ours_are_plain() -> None:
    said = Holding(
        id="urn:uuid:1",
        achievement="a",
        issuer="i",
        earned=datetime(2026, 3, 1, tzinfo=UTC),
        credits=Credits(value=Decimal("7.5"), unit="ECTS"),
        grade=Grade(score=Decimal("0.82")),
        level={"EQF": 7},
        mode="online",
    )
    assert plain_holding(said) == parse_holding(said.to_json())
