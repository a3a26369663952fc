"""Grades on scales, and the tables by which a framework lets one scale count on another."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from cairn.pathways.domain.holding import Grade, plain
from cairn.pathways.domain.reading import Reader, step

# What a table calls the scale of `{"score": …}`, which in a `Grade` is None.
SCORE: Final = "score"


@dataclass(frozen=True, slots=True)
class GradeTable:
    """`rows` are (least grade on `source`, grade on `target`), the highest first. A scale of None is the score."""

    source: str | None
    target: str | None
    rows: tuple[tuple[Decimal, Decimal], ...]


def grade_on(grade: Grade | None, scale: str | None, tables: Sequence[GradeTable]) -> Decimal | None:
    """A grade on a scale, or None. Scales never convert without a table from the one to the other."""
    if grade is None:
        return None
    if grade.scale == scale:
        return grade.value
    for table in tables:
        if (table.source, table.target) == (grade.scale, scale):
            return next((points for least, points in table.rows if grade.value >= least), None)
    return None


def better(one: Grade, other: Grade, tables: Sequence[GradeTable]) -> bool:
    """Whether a grade is higher than another. They are comparable on one scale, or where a table leads from the one's
    scale to the other's."""
    if (value := grade_on(one, other.scale, tables)) is not None:
        return value > other.value
    value = grade_on(other, one.scale, tables)
    return value is not None and one.value > value


@dataclass(frozen=True, slots=True)
class GradeFloor:
    """The least grade asked for: a share of full marks (`scale` is None), or points on a named scale."""

    min: Decimal
    scale: str | None = None
    tables: tuple[GradeTable, ...] = ()

    def met_by(self, grade: Grade | None) -> bool:
        value = grade_on(grade, self.scale, self.tables)
        return value is not None and value >= self.min

    def to_json(self) -> dict[str, str]:
        return {"min": plain(self.min)} | ({} if self.scale is None else {"scale": self.scale})


def read_grade_floor(reader: Reader, document: object, path: str, tables: tuple[GradeTable, ...]) -> GradeFloor:
    members = reader.members(document, path, ("min", "scale"), ("min",))
    least = reader.decimal(members.get("min", "0"), step(path, "min"))
    scale = _scale(reader.text(members["scale"], step(path, "scale"))) if "scale" in members else None
    if scale is None and least > 1:
        reader.refuse("bad-grade", step(path, "min"), "A score is from 0 to 1.", 'Name the "scale" for points.')
    return GradeFloor(least, scale, tables)


def read_grade_tables(reader: Reader, document: object, path: str) -> tuple[GradeTable, ...]:
    tables: dict[tuple[str | None, str | None], GradeTable] = {}
    for entry, place in reader.each(document, path):
        members = reader.members(entry, place, ("from", "to", "rows"), ("from", "to", "rows"))
        source, target = (_scale(reader.text(members.get(key, "-"), step(place, key))) for key in ("from", "to"))
        rows: list[tuple[Decimal, Decimal]] = []
        for row, at in reader.each(members.get("rows", []), step(place, "rows")):
            cells = [reader.decimal(cell, where) for cell, where in reader.each(row, at)]
            if len(cells) != 2:
                reader.refuse(
                    "bad-row", at, 'A row is a least grade and what it counts as, such as ["0.9", "4.0"].', "Write two."
                )
            else:
                rows.append((cells[0], cells[1]))
        if (source, target) in tables:
            reader.refuse(
                "duplicate-table", place, "There are two tables between these scales.", "Keep one.", kind="structure"
            )
        tables[source, target] = GradeTable(source, target, tuple(sorted(rows, reverse=True)))
    return tuple(tables.values())


def _scale(name: str) -> str | None:
    return None if name == SCORE else name
