"""The guards for parsed JSON."""

from __future__ import annotations

import re
import sys

from cairn.credentials.canonicalize.terms import IRI
from cairn.credentials.shape import BLANKS, is_url


def test_blanks_are_those_of_the_regular_expressions() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert re.findall(f"[{BLANKS}]", every) == re.findall(r"\s", every)


def test_no_blank_stands_in_an_iri() -> None:
    for blank in re.findall(r"\s", "".join(map(chr, range(0x3001)))):
        assert not is_url(f"urn:{blank}x")
        assert not IRI.fullmatch(f"urn:{blank}x")
