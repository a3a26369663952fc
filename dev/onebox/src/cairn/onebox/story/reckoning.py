"""The state of the world as the public APIs tell it, by LMS user, and what the story must bring it to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from cairn.onebox.story import cast
from cairn.onebox.story.api import Api, each
from cairn.onebox.story.cast import CREDENTIAL, HOME, Person

REVOKED_COURSE: Final = "sc2x"
"""The component that one graduate loses for good."""
SUSPENDED_COURSE: Final = "sc1x"
"""The component that another loses for a while."""

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Reckoning:
    """One learner. Lists, not sets: a second credential for one completion, or a second award, would show."""

    credentials: tuple[str, ...]
    """`tenant/code status` of each signed credential, the qualification's included."""
    awards: tuple[str, ...]
    """State of each award."""
    audit: str
    unmet: tuple[str, ...]
    """Leaves of the framework."""


def expected(people: Sequence[Person], revoked: Person) -> dict[str, Reckoning]:
    """What the story must come to."""
    must = {person.user: _expected(person) for person in people}
    before = must[revoked.user]
    lost = {f"{HOME}/{REVOKED_COURSE} valid", f"{HOME}/{CREDENTIAL} valid"}
    must[revoked.user] = replace(
        before,
        credentials=tuple(text.replace(" valid", " revoked") if text in lost else text for text in before.credentials),
        awards=("revoked",),
        audit="incomplete",
        unmet=(REVOKED_COURSE,),
    )
    return must


def _expected(person: Person) -> Reckoning:
    earned = [f"{HOME}/{code} valid" for code in person.home]
    earned += [f"{cast.AWAY}/{code} valid" for code in person.away]
    earned += [f"{HOME}/{CREDENTIAL} valid"] if person.earns else []
    have = {*person.home, *person.away}
    return Reckoning(
        credentials=tuple(sorted(earned)),
        awards=("active",) if person.earns else (),
        audit="complete" if person.earns else "incomplete",
        unmet=tuple(code for code in (*cast.COURSES, cast.EXAM) if code not in have),
    )


async def learner_known(api: Api, person: Person) -> bool:
    """Whether the home university has registered this person."""
    path = f"/issuance/v1/learners?kind=lms-user&value={person.user}"
    return (await api.call("GET", path, by=HOME, accept=[404])).status == 200


async def learner_ids(api: Api, people: Sequence[Person]) -> dict[str, str]:
    """LMS user to learner id, at both universities."""
    users = [(HOME, person.user) for person in people]
    users += [(cast.AWAY, person.away_user) for person in people if person.away]

    async def find(entry: tuple[str, str]) -> tuple[str, str]:
        tenant, user = entry
        found = await api.get(f"/issuance/v1/learners?kind=lms-user&value={user}", by=tenant)
        return user, found["id"]

    return dict(await each(users, find, lambda: None))


async def credentials(api: Api) -> dict[str, list[dict[str, Any]]]:
    """Every signed credential of both universities, by learner id; `tenant` says whose it is."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for tenant in cast.TENANTS:
        after = ""
        while True:
            page = await api.get(f"/issuance/v1/credentials?limit={_PAGE}&after={quote(after)}", by=tenant)
            for entry in page:
                if entry["state"] == "issued":
                    found[entry["learner"]].append(entry | {"tenant": tenant})
            if len(page) < _PAGE:
                break
            after = page[-1]["id"]
    return found


async def audit_of(api: Api, learner: str) -> dict[str, Any] | None:
    """The learner's audit of the story's framework, or None where there is none yet."""
    answer = await api.call("GET", f"/pathways/v1/learners/{learner}/audits", by=HOME, accept=[404])
    audits: list[dict[str, Any]] = answer.body["audits"] if answer.status == 200 else []
    return next((audit for audit in audits if audit["framework"] == cast.QUALIFICATION), None)


async def reckon(api: Api, people: Sequence[Person], ids: Mapping[str, str]) -> dict[str, Reckoning]:
    """By LMS user of the home university."""
    signed = await credentials(api)

    async def one(person: Person) -> tuple[str, Reckoning]:
        learner = ids[person.user]
        awards = await api.get(f"/pathways/v1/learners/{learner}/awards", by=HOME)
        audit = await audit_of(api, learner)
        own = [*signed[learner], *(signed[ids[person.away_user]] if person.away else [])]
        leaves = {*cast.COURSES, cast.EXAM}
        return person.user, Reckoning(
            credentials=tuple(sorted(f"{c['tenant']}/{_code(c)} {c['status']}" for c in own)),
            awards=tuple(sorted(award["state"] for award in awards["awards"])),
            audit=audit["status"] if audit else "none",
            unmet=tuple(n["id"] for n in audit["nodes"] if not n["met"] and n["id"] in leaves) if audit else (),
        )

    return dict(await each(people, one, lambda: None))


def _code(credential: Mapping[str, Any]) -> str:
    return str(credential["achievement"]).rsplit("/", 1)[-1]


def differences(must: Mapping[str, Reckoning], found: Mapping[str, Reckoning]) -> str | None:
    """The first few learners who are not as they must be; None where all are."""
    wrong = [user for user in must if must[user] != found.get(user)]
    if not wrong:
        return None
    shown = "; ".join(f"{user} is {found.get(user)}, but must be {must[user]}" for user in wrong[:3])
    return f"{len(wrong)} of {len(must)} learners differ: {shown}"


def summary(people: Sequence[Person], found: Mapping[str, Reckoning]) -> dict[str, str]:
    """The table at the end: what, and how many."""
    said = Counter(text.rsplit(" ", 1)[1] for reckoning in found.values() for text in reckoning.credentials)
    states = Counter(state for reckoning in found.values() for state in reckoning.awards)
    parts = Counter(person.part for person in people)
    total = sum(said.values())
    return {
        "Universities": str(len(cast.TENANTS)),
        "Learners": f"{len(people):,}",
        "  with one course from the other university, by consent": f"{parts['abroad']:,}",
        "Completions, each with exactly one credential": f"{total - sum(states.values()):,}",
        f"{cast.AWARD}s earned and standing": f"{states['active']:,}",
        "  not earned for want of one course": f"{parts['lacks-course']:,}",
        "  not earned for want of the exam": f"{parts['lacks-exam']:,}",
        "  not earned yet, two courses passed": f"{parts['beginner']:,}",
        "  lapsed, because a component was revoked": f"{states['revoked']:,}",
        "Credentials valid now": f"{said['valid']:,}",
        "Credentials revoked": f"{said['revoked']:,}",
    }
