"""How long one audit takes: a typical one, and hard ones.

`python -m bench.stacking.engine [audits]` draws so many learners of each kind from a fixed seed, and times `audit` on
each once, from parsed holdings to the answer with its explanation and digest. Nothing is kept from one to the next but
the framework, as in the service.

- *typical*: 12 leaves, 20 holdings, three limits (residency, a cap on RPL, breadth).
- *hard*: 40 leaves, 60 holdings most of which fit several leaves, a mean of grades and a share, with the bounds set so
  that most learners meet them only by another choice than the first, and some not at all.

Times are CPU time of the one thread that audits, so that a busy machine does not tell on them.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from cairn.pathways.domain import Audit, Framework, Holding, audit, parse_framework, parse_holdings

_AS_OF: Final = datetime(2026, 11, 1, tzinfo=UTC)
_SEED: Final = 20261101
_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one kind. Times are in milliseconds."""

    complete: int
    incomplete: int
    undetermined: int
    p50: float
    p99: float
    worst: float


def typical() -> Framework:
    """A postgraduate certificate: five courses, two of four specialisms, electives by tag, a capstone."""
    core = [_course(f"core{n}", f"c{n}") for n in range(5)]
    special = [_course(f"special{n}", f"s{n}", f"s{n}-online") for n in range(4)]
    electives = [
        {"id": "data", "credits": {"min": "10", "max": "20"}, "from": {"tag": ["data"]}},
        {"id": "society", "credits": {"min": "5"}, "from": {"tag": ["society", "data"]}},
    ]
    return parse_framework(
        {
            "qualification": "q/typical",
            "version": "1",
            "creditUnit": "ECTS",
            "requirement": {
                "id": "root",
                "all": [
                    {"id": "core", "all": core},
                    {"id": "special", "atLeast": 2, "of": special},
                    *electives,
                    _course("capstone", "thesis", "project"),
                ],
            },
            "limits": [
                {"id": "residency", "share": {"min": "0.5"}, "of": {"issuer": ["home"]}},
                {"id": "rpl-cap", "amount": {"max": "10"}, "of": {"source": ["rpl"]}},
                {"id": "breadth", "distinct": {"min": 3}, "by": "area"},
            ],
        }
    )


def typical_holdings(draw: random.Random) -> list[_Json]:
    names = [*(f"c{n}" for n in range(5)), *(f"s{n}" for n in range(4)), "s1-online", "thesis"]
    held = draw.sample(names, k=10) + [f"e{n}" for n in range(10)]
    return [_holding(draw, place, name, ["data", "society", "art"]) for place, name in enumerate(held)]


def hard() -> Framework:
    """A degree: 24 courses each with alternatives that other courses take too, 10 pools of credits by tag that overlap,
    two of six tracks, a mean of grades over all and half of the credits from home."""
    courses = [_course(f"course{n}", f"a{n}", f"a{(n + 1) % 30}", f"a{(n + 7) % 30}") for n in range(24)]
    pools = [
        {"id": f"pool{n}", "credits": {"min": "5"}, "from": {"tag": [f"t{n}", f"t{(n + 1) % 10}"]}} for n in range(10)
    ]
    tracks = [_course(f"track{n}", f"a{24 + n}", f"a{(25 + n) % 30}") for n in range(6)]
    return parse_framework(
        {
            "qualification": "q/hard",
            "version": "1",
            "creditUnit": "ECTS",
            "requirement": {
                "id": "root",
                "all": [
                    *({"id": f"block{n}", "all": courses[n * 6 : n * 6 + 6]} for n in range(4)),
                    {"id": "pools", "all": pools},
                    {"id": "tracks", "atLeast": 2, "of": tracks},
                ],
            },
            "limits": [
                {"id": "gpa", "gpa": {"min": "3.10", "scale": "us-4.0"}},
                {"id": "residency", "share": {"min": "0.55"}, "of": {"issuer": ["home"]}},
            ],
        }
    )


def hard_holdings(draw: random.Random) -> list[_Json]:
    courses = draw.sample([f"a{n}" for n in range(30)], k=draw.randint(26, 30))
    names = courses + [f"e{n}" for n in range(60 - len(courses))]
    return [_holding(draw, place, name, [f"t{n}" for n in range(10)]) for place, name in enumerate(names)]


def _course(name: str, *achievements: str) -> _Json:
    return {"id": name, "count": {"min": 1}, "from": {"achievement": list(achievements)}}


def _holding(draw: random.Random, place: int, achievement: str, tags: list[str]) -> _Json:
    earned = (_AS_OF - timedelta(days=draw.randint(1, 1500))).isoformat()
    return {
        "id": f"urn:uuid:00000000-0000-4000-8000-{place:012}",
        "achievement": achievement,
        "issuer": draw.choices(["home", "away"], [3, 2])[0],
        "credits": {"value": draw.choice(["5", "5", "6", "7.5"]), "unit": "ECTS"},
        "grade": {"points": draw.choice(["2.7", "3.0", "3.3", "3.7", "4.0"]), "scale": "us-4.0"},
        "tag": draw.sample(tags, k=2) if achievement[0] == "e" else [],
        "area": [draw.choice(["statistics", "computing", "law", "ethics"])],
        "source": draw.choices(["lms", "external", "rpl"], [8, 1, 1])[0],
        "earned": earned,
        "status": [{"at": earned, "state": "valid"}],
    }


def measure(framework: Framework, learners: Iterable[tuple[Holding, ...]]) -> tuple[Figures, list[Audit]]:
    """`learners` may be drawn one at a time: what nobody needs any more costs no garbage collection."""
    times: list[float] = []
    answers: list[Audit] = []
    for holdings in learners:
        started = time.thread_time()
        answers.append(audit(framework, holdings, (), _AS_OF))
        answers[-1].to_json()  # which works out the explanation
        times.append((time.thread_time() - started) * 1000)
    count = {status: sum(a.status == status for a in answers) for status in ("complete", "incomplete", "undetermined")}
    return Figures(
        **count, p50=statistics.median(times), p99=statistics.quantiles(times, n=100)[98], worst=max(times)
    ), answers


def main() -> None:
    audits = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    table = Table(title=f"{audits:,} audits of each kind, ms")
    for heading in ("", "complete", "incomplete", "undetermined", "p50", "p99", "worst"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, framework, drawn in (("typical", typical(), typical_holdings), ("hard", hard(), hard_holdings)):
        draw = random.Random(_SEED)
        learners = (parse_holdings(drawn(draw)) for _ in range(audits))
        figures, _ = measure(framework, learners)
        times = (f"{value:.2f}" for value in (figures.p50, figures.p99, figures.worst))
        table.add_row(name, str(figures.complete), str(figures.incomplete), str(figures.undetermined), *times)
    Console().print(table)


if __name__ == "__main__":
    main()
