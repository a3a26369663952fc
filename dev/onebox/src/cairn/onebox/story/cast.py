"""Who and what the story is about: MITx's MicroMasters in Supply Chain Management, between two universities.

Five courses, each with a verified certificate; then the comprehensive exam; then the credential. Everything is made up
from a learner's number, so that playing again tells the same story to the same people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

HOME: Final = "north-coast"
AWAY: Final = "harbour"
TENANTS: Final = (HOME, AWAY)

INSTITUTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "id": HOME,
        "name": "North Coast University",
        "url": "https://north-coast.example",
        "country": "IE",
        "accreditedBy": ["https://qa.example/agencies/1"],
    },
    {
        "id": AWAY,
        "name": "Harbour Institute of Technology",
        "url": "https://harbour.example",
        "country": "PT",
        "accreditedBy": ["https://qa.example/agencies/2"],
    },
)

COURSES: Final = {
    "sc0x": ("Supply Chain Analytics", "Model uncertainty, optimise, and read data from a supply chain."),
    "sc1x": ("Supply Chain Fundamentals", "Forecast demand, set inventory policies, plan transport."),
    "sc2x": ("Supply Chain Design", "Design networks, contracts and flows of materials, information and money."),
    "sc3x": ("Supply Chain Dynamics", "Manage global chains: disruption, the bullwhip, sustainability."),
    "sc4x": ("Supply Chain Technology and Systems", "Choose and join databases, ERP, planning and execution systems."),
}
EXAM: Final = "sc-exam"
CREDENTIAL: Final = "sc-micromasters"
ABROAD: Final = "sc3x"
"""The course that some learners take at the other university."""
LACKED: Final = "sc4x"
"""The course that some learners have not passed."""
AWARD: Final = "MicroMasters credential"
TITLE: Final = "MicroMasters Credential in Supply Chain Management"
QUALIFICATION: Final = "https://north-coast.example/q/sc-micromasters"
VERSION: Final = "2025"

Part = Literal["graduate", "abroad", "lacks-course", "lacks-exam", "beginner"]

_FIRST: Final = (
    *("Ada", "Björn", "Chiara", "Dimitra", "Emeka", "Fatima", "Goran", "Hana", "Ivo", "Jaya", "Katarína", "Liam"),
    *("María", "Noor", "Oisín", "Piotr", "Quyên", "Rosa", "Sofía", "Tariq", "Ulla", "Víctor", "Wanjiru", "Zeynep"),
)
_LAST: Final = (
    *("Almeida", "Brandt", "Costa", "Doyle", "Eriksson", "Farkaš", "Ghosh", "Haddad", "Ito", "Jansen", "Kowalska"),
    *("Lindgren", "Moreau", "Nguyễn", "Okafor", "Papadaki", "Rossi", "Silva", "Tanaka", "Urbán", "Wójcik"),
)
# One year of study in the past, whatever today is: a completion in the future is refused.
_START: Final = datetime(2025, 1, 31, 17, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    number: int
    name: str
    part: Part

    @property
    def user(self) -> str:
        """As the LMS of the home university knows them."""
        return f"ncu-{self.number:05}"

    @property
    def away_user(self) -> str:
        """As the LMS of the other university knows them, where it does."""
        return f"hit-{self.number:05}"

    @property
    def home(self) -> tuple[str, ...]:
        """What they complete at home, in order."""
        match self.part:
            case "graduate":
                return (*COURSES, EXAM)
            case "abroad":
                return (*(course for course in COURSES if course != ABROAD), EXAM)
            case "lacks-course":
                return (*(course for course in COURSES if course != LACKED), EXAM)
            case "lacks-exam":
                return tuple(COURSES)
            case "beginner":
                return ("sc0x", "sc1x")

    @property
    def away(self) -> tuple[str, ...]:
        return (ABROAD,) if self.part == "abroad" else ()

    @property
    def earns(self) -> bool:
        """Whether they complete the qualification."""
        return self.part in {"graduate", "abroad"}


def people(count: int) -> list[Person]:
    """The first `count` learners. Of ten, six earn the credential, one of them with a course from abroad."""
    parts: tuple[Part, ...] = (
        *("graduate", "lacks-course", "graduate", "abroad", "lacks-exam"),
        *("graduate", "beginner", "graduate", "lacks-course", "graduate"),
    )
    return [
        Person(
            number,
            f"{_FIRST[number % len(_FIRST)]} {_LAST[(number * 5 + number // len(_FIRST)) % len(_LAST)]}",
            parts[(number - 1) % len(parts)],
        )
        for number in range(1, count + 1)
    ]


def completion(person: Person, code: str, tenant: str) -> dict[str, Any]:
    """What the LMS of `tenant` posts when the person has passed `code`."""
    user = person.user if tenant == HOME else person.away_user
    place = [*COURSES, EXAM].index(code)
    # Exams have no marks to spare for fractions: every learner's are between 0.65 and 0.99.
    score = 65 + (person.number * 7 + place * 11) % 35
    at = _START + timedelta(days=56 * place, minutes=person.number)
    return {
        "id": f"{user}/{code}",
        "learner": {"identifier": {"kind": "lms-user", "value": user}},
        "achievement": code,
        "completedAt": at.isoformat().replace("+00:00", "Z"),
        "grade": {"score": f"0.{score}"},
        "supervised": code == EXAM,
        "identityVerified": True,
    }


def achievements(tenant: str) -> list[dict[str, Any]]:
    """What the institution publishes: Open Badges fields, and those of the European approach to micro-credentials."""
    courses = [_course(code) for code in COURSES if tenant == HOME or code == ABROAD]
    return [*courses, _exam(), _award()] if tenant == HOME else courses


def framework(public_url: str) -> dict[str, Any]:
    """The qualification's rules, in the shape of `STACKING`: all five courses, and the exam."""

    def id_of(tenant: str, code: str) -> str:
        return f"{public_url}/achievements/{tenant}/{code}"

    def leaf(code: str) -> dict[str, Any]:
        where = TENANTS if code == ABROAD else (HOME,)
        return {"id": code, "count": {"min": 1}, "from": {"achievement": [id_of(tenant, code) for tenant in where]}}

    return {
        "qualification": QUALIFICATION,
        "version": VERSION,
        "title": TITLE,
        "award": {"achievement": id_of(HOME, CREDENTIAL)},
        "effective": {"from": "2025-01-01", "to": None},
        "creditUnit": "ECTS",
        "requirement": {
            "id": "root",
            "all": [{"id": "courses", "all": [leaf(code) for code in COURSES]}, leaf(EXAM)],
        },
        "validity": "award",
        "onLoss": "revoke",
    }


def _course(code: str) -> dict[str, Any]:
    name, about = COURSES[code]
    return {
        "code": code,
        "name": f"{code.upper().replace('X', 'x')} {name}",
        "description": about,
        "criteria": {
            "narrative": "Pass the graded assignments and the final test with 60 % or more, identity verified."
        },
        "achievementType": "MicroCredential",
        "tag": ["supply-chain"],
        "area": ["logistics"],
        "credits": {"value": "5", "unit": "ECTS"},
        "level": {"EQF": 7},
        "learningOutcomes": [about],
        "workload": {"hours": "130"},
        "assessment": {"type": "Final test, proctored online", "supervised": False, "identityVerified": True},
        "participation": "online",
        "qualityAssurance": {"type": "Internal, externally audited", "body": "Quality Board"},
    }


def _exam() -> dict[str, Any]:
    return {
        "code": EXAM,
        "name": "Comprehensive Exam in Supply Chain Management",
        "description": "Four hours over all five courses, taken under supervision.",
        "criteria": {"narrative": "Score 60 % or more, supervised, identity verified."},
        "achievementType": "Assessment",
        "tag": ["supply-chain"],
        "level": {"EQF": 7},
        "assessment": {"type": "Written exam", "supervised": True, "identityVerified": True},
        "participation": "online",
    }


def _award() -> dict[str, Any]:
    return {
        "code": CREDENTIAL,
        "name": TITLE,
        "description": "A graduate credential that counts for credit in a master's programme.",
        "criteria": {"narrative": "All five courses and the comprehensive exam."},
        "achievementType": "MicroCredential",
        "tag": ["supply-chain"],
        "credits": {"value": "25", "unit": "ECTS"},
        "level": {"EQF": 7},
        "participation": "online",
    }
