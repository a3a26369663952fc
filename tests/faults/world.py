"""Cohorts: learners with the same plot, each cohort with achievements and frameworks of its own.

Two cohorts differ in nothing but names, so the one in whose plot a process died must end as the one left in peace:
`picture` leaves the names out. Every cohort brings wrong lines, a course from abroad, revocations and suspensions, a
framework that is published late, and (where asked) credentials that expire while one looks on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from cairn.onebox.story import cast
from cairn.onebox.story.api import Api, each
from cairn.onebox.story.cast import AWAY, HOME

from .points import Act
from .system import System

BATCH: Final = 50
_MONTHS: Final = 48
"""Of validity. Counted back over four years, every day of the calendar but one comes out as it is."""
_EXTRA_UP_TO: Final = 1000
"""Were it more than a hundred who hold the extra course, a second person would have to publish the late framework."""
_START: Final = datetime(2025, 1, 31, 17, 0, tzinfo=UTC)

Picture = dict[str, dict[str, list[Any]]]
"""By learner, without the names of the cohort: credentials, holdings, audits, awards. Of their status only the last:
what was suspended and reinstated within a moment may take its award along, or not."""
"""By learner, without what the names of a cohort make different: credentials, holdings, audits, awards."""
Acting = Callable[[Act], Awaitable[None]]
"""Called before each act."""


async def found(system: System) -> None:
    """The two institutions."""
    async with Api(system.access) as api:
        for institution in cast.INSTITUTIONS:
            await api.call("POST", "/issuance/v1/institutions", by="operator", body=institution, accept=[409])


@dataclass(frozen=True, slots=True)
class Member:
    """Of ten, one each: revoked later, lacking a course, with one more, from abroad, suspended for a while, with a
    wrong line beside a right one; the others just complete."""

    cohort: str
    number: int

    @property
    def user(self) -> str:
        return f"{self.cohort}-{self.number:05}"

    @property
    def away_user(self) -> str:
        return f"{self.user}-away"

    @property
    def part(self) -> str:
        if self.number > _EXTRA_UP_TO and self.number % 10 == 3:
            return "plain"
        parts = {1: "revoked", 2: "lacking", 3: "extra", 4: "abroad", 7: "suspended", 8: "wrong"}
        return parts.get(self.number % 10, "plain")


@dataclass
class Cohort:
    system: System
    name: str
    size: int
    before: Acting | None = None
    expiring: bool = False
    ids: dict[str, str] = field(default_factory=dict[str, str])
    """LMS user to learner id."""
    posted: int = 0
    refused: int = 0
    """Lines that were posted, and those of them that were refused with a reason."""

    def __post_init__(self) -> None:
        self.members = [Member(self.name, number) for number in range(1, self.size + 1)]

    async def prepare(self) -> None:
        """What there is to earn, and who learns, and nothing more."""
        async with Api(self.system.access) as self._api:
            await self._prepare()

    async def play(self) -> None:
        async with Api(self.system.access) as self._api:
            await self._prepare()
            if self.expiring:
                await self._expire()
                return
            await self._act("study", self._study)
            await self._act("link", self._link)
            await self._until_awarded()
            await self._act("lose", self._lose)
            await self._act("late", lambda: self._publish("late", "extra"))

    async def _act(self, act: Act, do: Callable[[], Awaitable[None]]) -> None:
        if self.before is not None:
            await self.before(act)
        await do()

    # What there is to earn.

    def code(self, name: str) -> str:
        return f"{self.name}-{name}"

    def qualification(self, kind: str) -> str:
        return f"https://north-coast.example/q/{self.code(kind)}"

    async def _prepare(self) -> None:
        names = ("fleeting", "current-award") if self.expiring else ("stats", "ml", "extra", "full-award", "late-award")
        for name in names:
            await self._achievement(HOME, name)
        if self.expiring:
            await self._publish("current", "fleeting", validity="always")
            return
        await self._achievement(AWAY, "ml")
        await self._publish("full", "stats", "ml")
        await each(self.members, self._register, lambda: None)

    async def _achievement(self, tenant: str, name: str) -> None:
        body: dict[str, Any] = {
            "code": self.code(name),
            "name": name,
            "description": f"What {name} asks for.",
            "criteria": {"narrative": "Pass."},
            "credits": {"value": "5", "unit": "ECTS"},
            **({"validMonths": _MONTHS} if name == "fleeting" else {}),
        }
        answer = await self._api.call("POST", "/issuance/v1/achievements", by=tenant, body=body)
        self._url = answer.body["id"].rsplit("/achievements/", 1)[0]

    async def _publish(self, kind: str, *names: str, validity: str = "award") -> None:
        def leaf(name: str) -> dict[str, Any]:
            ids = [f"{self._url}/achievements/{tenant}/{self.code(name)}" for tenant in (HOME, AWAY)]
            return {"id": name, "count": {"min": 1}, "from": {"achievement": ids if name == "ml" else ids[:1]}}

        framework = {
            "qualification": self.qualification(kind),
            "version": "1",
            "title": kind,
            "award": {"achievement": f"{self._url}/achievements/{HOME}/{self.code(f'{kind}-award')}"},
            "effective": {"from": "2020-01-01", "to": None},
            "creditUnit": "ECTS",
            "requirement": {"id": "root", "all": [leaf(name) for name in names]},
            "validity": validity,
            "onLoss": "revoke",
        }
        await self._until("the catalogue is known", lambda: self._no_findings(framework))
        draft = await self._api.call("POST", "/pathways/v1/frameworks", by=HOME, body=framework, accept=[409])
        await self._api.call("POST", f"/pathways/v1/frameworks/{draft.body['id']}/publish", by=HOME)

    async def _no_findings(self, framework: dict[str, Any]) -> bool:
        answer = await self._api.call("POST", "/pathways/v1/frameworks/lint", by=HOME, body=framework)
        return not answer.body["findings"]

    async def _register(self, member: Member) -> None:
        places = [(HOME, member.user), *([(AWAY, member.away_user)] if member.part == "abroad" else [])]
        for tenant, user in places:
            body = {"name": f"Learner {member.number}", "identifiers": [{"kind": "lms-user", "value": user}]}
            answer = await self._api.call("POST", "/issuance/v1/learners", by=tenant, body=body)
            self.ids[user] = answer.body["id"]

    # The plot.

    async def _study(self) -> None:
        lines = [self.completion(member.user, "stats") for member in self.members]
        lines += [
            {**self.completion(member.user, "stats"), "id": f"{member.user}/wrong", "grade": {"score": "1.4"}}
            for member in self.members
            if member.part == "wrong"
        ]
        at_home = [member for member in self.members if member.part not in {"lacking", "abroad"}]
        lines += [self.completion(member.user, "ml") for member in at_home]
        await self._post(HOME, lines)
        abroad = [member for member in self.members if member.part == "abroad"]
        await self._post(AWAY, [self.completion(member.away_user, "ml") for member in abroad])
        for member in self.members:
            if member.part == "extra":
                await self._post_one(self.completion(member.user, "extra"))

    async def _link(self) -> None:
        for member in self.members:
            if member.part == "abroad":
                await self._merge(member)

    async def _merge(self, member: Member) -> None:
        here, there = self.ids[member.user], self.ids[member.away_user]
        for _ in range(3):
            code = await self._api.call("POST", f"/issuance/v1/learners/{there}/link-codes", by=AWAY)
            body = {"code": code.body["code"], "consent": "I agree."}
            path = f"/issuance/v1/learners/{here}/merges"
            answer = await self._api.call("POST", path, by=HOME, body=body, accept=[403, 409])
            if answer.status == 201 or answer.code == "merge-refused":
                return
        raise AssertionError(f"{member.user} could not be linked: {answer.body}")

    async def _lose(self) -> None:
        for member in self.members:
            if member.part == "revoked":
                await self._change(member, "stats", "revoke")
            elif member.part == "suspended":
                await self._change(member, "ml", "suspend")
                await self._change(member, "ml", "reinstate")

    async def _change(self, member: Member, name: str, action: str) -> None:
        own = await self._api.get(f"/issuance/v1/credentials?learner={self.ids[member.user]}", by=HOME)
        [credential] = [entry["id"] for entry in own if entry["achievement"].endswith(f"/{self.code(name)}")]
        path = f"/issuance/v1/credentials/{quote(credential)}/{action}"
        await self._api.call("POST", path, by=HOME, body={"reason": "An appeal."})

    async def _expire(self) -> None:
        """Some hold what is valid for some seconds more: they are awarded, and then they are not."""
        for seconds in (6, 12, 24):
            self.members = [Member(f"{self.name}-{seconds}", number) for number in range(1, self.size + 1)]
            await each(self.members, self._register, lambda: None)
            ends = datetime.now(UTC) + timedelta(seconds=seconds)
            earned = ends.replace(year=ends.year - _MONTHS // 12)
            await self._post(HOME, [self.completion(member.user, "fleeting", earned) for member in self.members])
            try:
                await self._until_awarded(ends)
            except TimeoutError:
                continue
            await self._act("expire", lambda ends=ends: asyncio.sleep((ends - datetime.now(UTC)).total_seconds()))
            return
        raise AssertionError("nothing was awarded before it expired")

    def completion(self, user: str, name: str, at: datetime | None = None) -> dict[str, Any]:
        number = int(user.removesuffix("-away").rsplit("-", 1)[1])
        at = at or _START + timedelta(minutes=number, days=("stats", "ml", "extra").index(name))
        return {
            "id": f"{user}/{name}",
            "learner": {"identifier": {"kind": "lms-user", "value": user}},
            "achievement": self.code(name),
            "completedAt": at.isoformat().replace("+00:00", "Z"),
            "grade": {"score": f"0.{65 + number % 35}"},
        }

    async def _post(self, tenant: str, lines: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            key = batch[0]["id"]
            answer = await self._api.call("POST", "/issuance/v1/completions", by=tenant, lines=batch, key=key)
            self.posted += len(batch)
            self.refused += len(answer.body["rejected"])

    async def _post_one(self, completion: dict[str, Any]) -> None:
        await self._api.call("POST", "/issuance/v1/completions", by=HOME, body=completion, key=completion["id"])
        self.posted += 1

    async def _until_awarded(self, until: datetime | None = None) -> None:
        """Raises TimeoutError where it is not so by `until`."""
        wanted = sum(member.part != "lacking" or self.expiring for member in self.members)

        async def awarded() -> bool:
            if until is not None and datetime.now(UTC) > until:
                raise TimeoutError
            rows = await self.system.rows(
                "issuance",
                "SELECT count(*) AS n FROM credentials WHERE state = 'issued' AND award_id IS NOT NULL"
                " AND learner_id = ANY ($1)",
                list(self.ids.values()),
            )
            return rows[0]["n"] >= wanted

        await self._until(f"{wanted} are awarded", awarded)

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds + self.size
        while not await holds():
            assert time.monotonic() < deadline, f"{self.name}: not within {seconds} s: {what}"
            await asyncio.sleep(0.2)

    # What came of it.

    @property
    def expected(self) -> dict[str, int]:
        """How many credentials there must be, and how many of them are valid: what one can tell without a run."""
        if self.expiring:
            return {"credentials": 2 * self.size, "valid": self.size, "held": self.size, "standing": 0}
        count = {part: sum(m.part == part for m in self.members) for part in {m.part for m in self.members}}
        completions = 2 * self.size - count.get("lacking", 0) + count.get("extra", 0)
        awards = self.size - count.get("lacking", 0) + count.get("extra", 0)
        valid = completions + awards - 2 * count.get("revoked", 0)
        return {
            "credentials": completions + awards,
            "valid": valid,
            "held": valid,
            "standing": awards - count.get("revoked", 0),
        }

    async def settled(self, like: Picture | None = None, seconds: float = 120) -> Picture:
        """Wait until the picture is as expected and, where there is one, as the one `like` that was left in peace."""
        deadline = time.monotonic() + seconds + self.size
        while True:
            picture = await self.picture()
            counts = self._counts(picture)
            if counts == self.expected and (like is None or picture == like):
                return picture
            if time.monotonic() > deadline:
                other = next(
                    (
                        f"{who}: {picture[who]}, not {like[who]}"
                        for who in picture
                        if like and like[who] != picture[who]
                    ),
                    "",
                )
                raise AssertionError(f"{self.name} has {counts}, must have {self.expected}; {other}")
            await asyncio.sleep(0.3)

    @staticmethod
    def _counts(picture: Picture) -> dict[str, int]:
        credentials = [entry for each in picture.values() for entry in each["credentials"]]
        holdings = [entry for each in picture.values() for entry in each["holdings"]]
        awards = [entry for each in picture.values() for entry in each["awards"]]
        return {
            "held": sum(entry.endswith(" valid") for entry in holdings),
            "credentials": sum(entry.endswith(("issued valid", "issued revoked")) for entry in credentials),
            "valid": sum(entry.endswith("issued valid") for entry in credentials),
            "standing": sum(entry.endswith("active") for entry in awards),
        }

    async def picture(self) -> Picture:
        """By LMS user: credentials, holdings with their status, audits with their allocations, awards. Lists, so that
        what is there twice shows."""
        ids = list(self.ids.values())
        signed = await self.system.rows("issuance", _CREDENTIALS, ids)
        held, audits, awards = [
            await self.system.rows("pathways", query, ids) for query in (_HOLDINGS, _AUDITS, _PATHWAYS_AWARDS)
        ]
        names = {row["id"]: f"{row['tenant_id']}/{self._short(row['achievement'])}" for row in held}
        of: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for row in signed:
            text = f"{row['tenant_id']}/{self._short(row['achievement_id'])} {row['state']} {row['status']}"
            of[row["learner_id"]]["credentials"].append(text)
        for row in held:
            of[row["learner_id"]]["holdings"].append(f"{names[row['id']]} {row['state']}")
        for row in audits:
            allocation = {
                leaf: [names.get(id_, id_) for id_ in some] for leaf, some in json.loads(row["allocation"]).items()
            }
            of[row["learner_id"]]["audits"].append([row["title"], row["status"], str(row["progress"]), allocation])
        for row in awards:
            of[row["learner_id"]]["awards"].append(f"{self._short(row['achievement'])} {row['state']}")
        kinds = ("credentials", "holdings", "audits", "awards")
        users = [user for user in self.ids if user.startswith(self.members[0].cohort)]
        return {
            user.removeprefix(self.members[0].cohort): {kind: sorted(of[self.ids[user]][kind]) for kind in kinds}
            for user in users
        }

    def _short(self, achievement: str) -> str:
        return achievement.rsplit("/", 1)[1].removeprefix(f"{self.name}-")


_CREDENTIALS: Final = """
    SELECT tenant_id, learner_id, achievement_id, state, status FROM credentials WHERE learner_id = ANY ($1)
"""
_HOLDINGS: Final = """
    SELECT h.tenant_id, h.learner_id, h.id, h.achievement,
           (SELECT s.state FROM holding_status s WHERE s.holding_id = h.id ORDER BY s.at DESC, s.state LIMIT 1) AS state
      FROM holdings h WHERE h.learner_id = ANY ($1)
"""
_AUDITS: Final = """
    SELECT a.learner_id, f.title, a.status, a.progress, a.document -> 'allocation' AS allocation
      FROM audits a JOIN frameworks f ON f.id = a.framework_id WHERE a.learner_id = ANY ($1)
"""
_PATHWAYS_AWARDS: Final = "SELECT learner_id, achievement, state FROM awards WHERE learner_id = ANY ($1)"
