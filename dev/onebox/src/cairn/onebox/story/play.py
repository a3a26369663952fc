"""The story, act by act. Every act can be played again on what is there already: nothing is done twice."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console

from cairn.onebox.story import cast
from cairn.onebox.story.api import Access, Api, StoryFailed, each, until
from cairn.onebox.story.cast import ABROAD, AWAY, HOME, LACKED, Person
from cairn.onebox.story.reckoning import (
    REVOKED_COURSE,
    SUSPENDED_COURSE,
    Reckoning,
    audit_of,
    credentials,
    differences,
    expected,
    learner_ids,
    learner_known,
    reckon,
    summary,
)
from cairn.onebox.story.show import Show

Moment = Callable[[str], Awaitable[None]]
"""Called at named moments of the story; tests disturb the system then."""

_CONSENT: Final = "I agree that what I earned at Harbour Institute of Technology counts at North Coast University."


async def play(
    access: Access, learners: int, console: Console, journal: Path, *, moment: Moment | None = None
) -> dict[str, Reckoning]:
    """Play the story about so many learners, or recognise that it was played. The reckoning, by LMS user.

    Raises StoryFailed where anything differs from what must be.
    """
    show = Show(console)
    started = time.monotonic()
    people = cast.people(learners)
    async with Api(access) as api:
        # What is there counts, not what was noted: the story may have been played from elsewhere, or be gone.
        known = await learner_known(api, people[0])
        played = known and _played(journal) == learners
        story = _Story(api, show, people, moment, again=known)
        try:
            if played:
                show.act("The story was played here before: this is what there is")
            else:
                await story.acts()
            reckoning = await story.reckoning()
        except* StoryFailed as failures:
            raise _first(failures) from None
    _write(journal, learners)
    rows = summary(people, reckoning) | ({} if played else {"Time": f"{time.monotonic() - started:.1f} s"})
    show.table("What there is" if played else "What happened", rows)
    return reckoning


def _played(journal: Path) -> int | None:
    """About how many learners a story was played to its end."""
    return json.loads(journal.read_text()).get("played") if journal.exists() else None


def _write(journal: Path, played: int) -> None:
    journal.write_text(json.dumps({"played": played}) + "\n")


def _first(failures: BaseExceptionGroup[StoryFailed]) -> StoryFailed:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StoryFailed)
    return error


class _Story:
    def __init__(self, api: Api, show: Show, people: list[Person], moment: Moment | None, *, again: bool) -> None:
        self._api, self._show, self._people, self._moment = api, show, people, moment
        self._again = again
        """A part of it may have happened before."""
        self._ids: dict[str, str] = {}
        """LMS user to learner id."""
        graduates = [person for person in people if person.part == "graduate"]
        self._revoked, self._suspended = graduates[0], graduates[1]

    async def acts(self) -> None:
        await self._found()
        await self._enrol()
        await self._study()
        await self._sign()
        await self._consent()
        await self._complete()
        await self._explain()
        await self._revoke()
        await self._suspend()
        await self._verify()

    async def reckoning(self) -> dict[str, Reckoning]:
        """Read everything back, and hold it against what must be."""
        self._ids = self._ids or await learner_ids(self._api, self._people)
        must = expected(self._people, self._revoked)
        found: dict[str, Reckoning] = {}

        async def probe() -> str | None:
            nonlocal found
            found = await reckon(self._api, self._people, self._ids)
            return differences(must, found)

        await until("every learner's credentials, award and audit as the story says", probe, seconds=20)
        self._show.note(f"Read back: all {len(found):,} learners are as they must be.")
        return found

    async def _found(self) -> None:
        self._show.act("Two universities")
        for institution in cast.INSTITUTIONS:
            await self._api.call("POST", "/issuance/v1/institutions", by="operator", body=institution, accept=[409])
            shown = await self._api.get(f"/issuance/v1/institutions/{institution['id']}", by=institution["id"])
            self._show.note(f"{shown['institution']['name']}, which issues as\n{shown['did']}")
        published: list[dict[str, Any]] = []
        for tenant in cast.TENANTS:
            for achievement in cast.achievements(tenant):
                answer = await self._api.call("POST", "/issuance/v1/achievements", by=tenant, body=achievement)
                published.append(answer.body)
        self._show.note(f"{len(published)} achievements: {', '.join(cast.COURSES)}, the exam, and what they lead to.")
        await self._publish_framework(published[0]["id"].rsplit("/achievements/", 1)[0])

    async def _publish_framework(self, public_url: str) -> None:
        framework = cast.framework(public_url)

        async def lint() -> str | None:
            answer = await self._api.call("POST", "/pathways/v1/frameworks/lint", by=HOME, body=framework)
            return json.dumps(answer.body["findings"]) if answer.body["findings"] else None

        # The rules name achievements of which pathways hears a moment after they are published.
        await until("the framework has no fault", lint)
        draft = await self._api.call("POST", "/pathways/v1/frameworks", by=HOME, body=framework)
        await self._api.call("POST", f"/pathways/v1/frameworks/{draft.body['id']}/publish", by=HOME)
        self._show.note(f"Framework {cast.VERSION}: all five courses, {ABROAD} at either university, then the exam.")

    async def _enrol(self) -> None:
        self._show.act("Learners")
        await self._at("enrol")
        abroad = [person for person in self._people if person.away]
        homes = [(HOME, person, person.user) for person in self._people]
        everyone = [*homes, *((AWAY, person, person.away_user) for person in abroad)]

        async def register(entry: tuple[str, Person, str]) -> None:
            tenant, person, user = entry
            body = {"name": person.name, "identifiers": [{"kind": "lms-user", "value": user}]}
            answer = await self._api.call("POST", "/issuance/v1/learners", by=tenant, body=body)
            self._ids[user] = answer.body["id"]

        await self._all("Learners registered", everyone, register)
        self._show.note(f"{len(abroad)} of them take {ABROAD} at the other university, under another number.")

    async def _study(self) -> None:
        self._show.act("A year of completions, as the LMS posts them")
        self._receipts: list[tuple[str, str]] = []
        posts = [(HOME, code, [p for p in self._people if code in p.home]) for code in (*cast.COURSES, cast.EXAM)]
        posts.append((AWAY, ABROAD, [person for person in self._people if person.away]))
        lines = {
            (tenant, code): [cast.completion(person, code, tenant) for person in who] for tenant, code, who in posts
        }
        with self._show.bar("Completions accepted", sum(map(len, lines.values()))) as done:
            count = 0
            for (tenant, code), batch in lines.items():
                if not batch:
                    continue
                count += len(batch)
                self._receipts.append((tenant, await self._post(tenant, code, batch)))
                await self._at(f"posted {tenant} {code}")
                done(count)
        await self._mistakes(lines[HOME, "sc0x"])

    async def _post(self, tenant: str, code: str, batch: list[dict[str, Any]]) -> str:
        key = f"story/{tenant}/{code}/{len(batch)}"
        answer = await self._api.call("POST", "/issuance/v1/completions", by=tenant, lines=batch, key=key)
        _equal(f"lines refused of {code}", answer.body["rejected"], [])
        return answer.body["id"]

    async def _mistakes(self, batch: list[dict[str, Any]]) -> None:
        """What goes wrong in every LMS: a post is sent twice, and a line is wrong."""
        again = await self._post(HOME, "sc0x", batch)
        if again not in {receipt for _, receipt in self._receipts}:
            raise StoryFailed(f"the same post under the same key got another receipt: {again}")
        self._show.note("The same post again, under the same Idempotency-Key: the same receipt, nothing twice.")
        wrong = [batch[0] | {"id": "story/wrong", "grade": {"score": "1.4"}}, batch[0]]
        answer = await self._api.call("POST", "/issuance/v1/completions", by=HOME, lines=wrong)
        refused = answer.body["rejected"]
        _equal("lines accepted beside a wrong one", answer.body["accepted"], 1)
        _equal(
            "what is refused", [(line["line"], line["errors"][0]["field"]) for line in refused], [(1, "/grade/score")]
        )
        self._show.note(f'A score of 1.4 in line 1: "{refused[0]["errors"][0]["detail"]}" Line 2 is taken.')

    async def _sign(self) -> None:
        self._show.act("Credentials")
        total = 0
        with self._show.bar("Credentials signed", sum(len(p.home) + len(p.away) for p in self._people)) as done:

            async def probe() -> str | None:
                nonlocal total
                receipts = [await self._api.get(f"/issuance/v1/receipts/{id_}", by=by) for by, id_ in self._receipts]
                if failed := [
                    line for receipt in receipts for line in receipt["outcomes"] if line["state"] == "failed"
                ]:
                    raise StoryFailed(f"a credential could not be issued: {failed[0]}")
                total = sum(receipt["issued"] for receipt in receipts)
                done(total)
                pending = sum(receipt["pending"] for receipt in receipts)
                return f"{pending} are pending" if pending else None

            await until("every accepted completion has its credential", probe, seconds=120)

    async def _consent(self) -> None:
        """A learner of both universities proves so, and agrees, and what they earned there counts here."""
        abroad = [person for person in self._people if person.away]
        self._show.act("One course from the other university, by the learner's consent")
        await self._at("consent")
        if not self._again:
            await self._audited(abroad[0], [ABROAD])
            self._show.note(f"Before that, {abroad[0].name} lacks {ABROAD} at home.")
        await self._all("Learners linked by code and consent", abroad, self._link)

    async def _link(self, person: Person) -> None:
        seen: Any = None
        for _ in range(3):
            learner, there = self._ids[person.user], self._ids[person.away_user]
            code = await self._api.call("POST", f"/issuance/v1/learners/{there}/link-codes", by=AWAY)
            body = {"code": code.body["code"], "consent": _CONSENT}
            path = f"/issuance/v1/learners/{learner}/merges"
            answer = await self._api.call("POST", path, by=HOME, body=body, accept=[403, 409])
            # Merged already: by an earlier run, or by a request whose answer was lost; a code works once.
            if answer.status == 201 or answer.code == "merge-refused":
                return
            seen = answer.body
        raise StoryFailed(f"{person.name} could not be linked: {seen}")

    async def _complete(self) -> None:
        self._show.act("The stack becomes a qualification")
        await self._at("complete")
        waiting = {person.user for person in self._people if person.earns}
        with self._show.bar(f"{cast.AWARD}s awarded and signed", len(waiting)) as done:
            total = len(waiting)

            async def probe() -> str | None:
                signed = await credentials(self._api)
                awarded = {learner for learner, own in signed.items() if any(c["award"] for c in own)}
                waiting.difference_update([user for user in waiting if self._ids[user] in awarded])
                done(total - len(waiting))
                return f"{len(waiting)} are waiting, among them {min(waiting)}" if waiting else None

            await until("everyone with five courses and the exam has the award", probe, seconds=120)

    async def _explain(self) -> None:
        self._show.act("Not yet")
        for part, missing in (("lacks-course", LACKED), ("lacks-exam", cast.EXAM)):
            person = next(person for person in self._people if person.part == part)
            explanation = await self._audited(person, [missing])
            self._show.note(f"{person.name}: {explanation}")

    async def _audited(self, person: Person, unmet: list[str]) -> str:
        """The audit's sentence, once it names exactly these leaves as not met."""
        explanation = ""

        async def probe() -> str | None:
            nonlocal explanation
            audit = await audit_of(self._api, self._ids[person.user])
            if audit is None:
                return "no audit"
            explanation = audit["sentence"]
            seen = [node["id"] for node in audit["nodes"] if not node["met"] and node["id"] not in {"root", "courses"}]
            return None if seen == unmet and audit["status"] == "incomplete" else f"{audit['status']}, unmet: {seen}"

        await until(f"{person.name}'s audit is incomplete for want of {unmet}", probe)
        return explanation

    async def _revoke(self) -> None:
        person = self._revoked
        self._show.act("A component is revoked, and the qualification lapses")
        await self._at("revoke")
        component, award = (
            await self._credential(person, REVOKED_COURSE),
            await self._credential(person, cast.CREDENTIAL),
        )
        await self._change(component, "revoke", "The final test was taken by somebody else.")
        await self._status(person, award, "revoked")
        explanation = await self._audited(person, [REVOKED_COURSE])
        self._show.note(f"{person.name} loses {REVOKED_COURSE}: the {cast.AWARD} is revoked.")
        self._show.note(f"The audit: {explanation}")

    async def _suspend(self) -> None:
        person = self._suspended
        self._show.act("A component is suspended for a while")
        await self._at("suspend")
        component = await self._credential(person, SUSPENDED_COURSE)
        award = await self._credential(person, cast.CREDENTIAL)
        await self._change(component, "suspend", "An appeal is being heard.")
        await self._status(person, award, "suspended")
        self._show.note(f"While {person.name}'s {SUSPENDED_COURSE} is suspended, so is the {cast.AWARD}.")
        await self._at("reinstate")
        await self._change(component, "reinstate", "The appeal was upheld.")
        await self._status(person, award, "valid")
        self._show.note("Reinstated: both hold again.")

    async def _verify(self) -> None:
        """As an employer would: without a token."""
        self._show.act("Anybody verifies")
        await self._at("verify")
        graduate = next(person for person in self._people if person.part == "graduate" and person.number > 5)
        document = await self._document(await self._credential(graduate, cast.CREDENTIAL))
        checks = await self._checks(document, dict.fromkeys(_CHECKS, "passed"))
        self._show.note(f"{graduate.name}'s {cast.AWARD}: {', '.join(checks)} passed.")
        tampered = json.loads(json.dumps(document).replace("Supply Chain", "Supply Chaim", 1))
        await self._checks(tampered, {"proof": "failed"})
        self._show.note("The same with one letter changed: proof failed.")
        lapsed = await self._document(await self._credential(self._revoked, cast.CREDENTIAL))
        await self._checks(lapsed, {"proof": "passed", "status": "failed"})
        self._show.note(f"{self._revoked.name}'s, which lapsed: proof passed, status failed.")

    async def _checks(self, document: Any, must: dict[str, str]) -> list[str]:
        """Verify until the checks are as they must be: a status list may be cached for a moment."""
        checks: dict[str, str] = {}

        async def probe() -> str | None:
            nonlocal checks
            answer = await self._api.call(
                "POST", "/verification/v1/verifications", by=None, body={"credential": document}
            )
            checks = {name: check["outcome"] for name, check in answer.body["checks"].items()}
            return None if checks.items() >= must.items() else json.dumps(answer.body["checks"])

        await until(f"verification says {must}", probe, seconds=20)
        return list(checks)

    async def _credential(self, person: Person, code: str) -> str:
        """The id of a credential."""
        own = await self._api.get(f"/issuance/v1/credentials?learner={self._ids[person.user]}", by=HOME)
        ids = [entry["id"] for entry in own if entry["achievement"].endswith(f"/{HOME}/{code}")]
        _equal(f"credentials of {person.name} for {code}", len(ids), 1)
        return ids[0]

    async def _document(self, credential: str) -> Any:
        return (await self._api.get(f"/issuance/v1/credentials/{quote(credential)}", by=HOME))["credential"]

    async def _change(self, credential: str, action: str, reason: str) -> None:
        path = f"/issuance/v1/credentials/{quote(credential)}/{action}"
        await self._api.call("POST", path, by=HOME, body={"reason": reason})

    async def _status(self, person: Person, credential: str, status: str) -> None:
        async def probe() -> str | None:
            seen = (await self._api.get(f"/issuance/v1/credentials/{quote(credential)}", by=HOME))["status"]
            return None if seen == status else seen

        await until(f"{person.name}'s credential {credential} is {status}", probe)

    async def _all(self, title: str, items: list[Any], do: Callable[[Any], Awaitable[None]]) -> None:
        count = 0
        with self._show.bar(title, len(items)) as done:

            def one_more() -> None:
                nonlocal count
                count += 1
                done(count)

            await each(items, do, one_more)

    async def _at(self, moment: str) -> None:
        if self._moment is not None:
            await self._moment(moment)


_CHECKS: Final = ("proof", "issuer", "trust", "status", "validity", "schema")


def _equal(what: str, seen: object, must: object) -> None:
    if seen != must:
        raise StoryFailed(f"{what}: expected {must!r}, saw {seen!r}")
