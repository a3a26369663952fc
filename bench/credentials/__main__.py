"""`python -m bench.credentials [rounds]`: every contender in turn, on one core, round after round; then the table.

An operation is whole. Issuing takes the unsigned credential as JSON text and gives the signed one as JSON text; by
template it takes the texts of one learner. Verifying takes the text of a signed credential, another one each time, and
makes every check that the library knows. Times are of the processor, so that what else the machine does while it is
shared lengthens nobody's. The floor is the hash of the canonical form and the signature, and no more.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import cycle
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.credentials import peers
from bench.credentials.sample import CREATED, NOW, VARYING, undisputed, unsigned
from cairn.credentials import (
    CredentialTemplate,
    Ed25519Signer,
    Policy,
    Trust,
    parse_json,
    sign,
    sign_jwt,
    verify,
)
from cairn.credentials.canonicalize import jcs, rdfc

_SEED: Final = bytes(range(32))
_LEARNERS: Final = 64
_COURSES: Final = 512
"""Several times as many as are remembered, so that none is when its turn comes again."""
_RDFC: Final = "eddsa-rdfc-2022"
_JCS: Final = "eddsa-jcs-2022"
_REFERENCE: Final = "@digitalbazaar/vc (Node)"
_RUST: Final = "ssi (Rust)"
_DRIVEN: Final = {_REFERENCE: (_RDFC, _JCS), _RUST: (_RDFC,)}
"""Which suites are asked of the peers in processes of their own."""
_SIGNER: Final = Ed25519Signer(_SEED)


@dataclass(slots=True)
class Contender:
    """One line of the table. `run` makes so many operations and gives the microseconds of each."""

    operation: str
    name: str
    run: Callable[[int], list[float]]
    each: int
    """Operations a round."""
    times: list[float] = field(default_factory=list[float])


class _Outside:
    """Everybody is trusted, and nothing is fetched: no status list is named, and the issuer is a did:key."""

    async def did_document(self, did: str, url: str) -> bytes:
        raise AssertionError(url)

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        raise AssertionError(url)

    async def document(self, url: str) -> bytes:
        raise AssertionError(url)


def _done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing, without an event loop in the measurement."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def _timed(operation: Callable[[Any], Any], inputs: list[Any]) -> Callable[[int], list[float]]:
    turn = cycle(inputs)

    def run(count: int) -> list[float]:
        times: list[float] = []
        for _ in range(count):
            given = next(turn)
            started = time.thread_time_ns()
            operation(given)
            times.append((time.thread_time_ns() - started) / 1000)
        return times

    return run


def _issue(suite: Any, text: bytes) -> bytes:
    return orjson.dumps(sign(parse_json(text), _SIGNER, created=CREATED, cryptosuite=suite))


def _verify(given: bytes | str) -> None:
    found = _done(verify(given, _Outside(), Policy(at=NOW)))
    assert found.verified, found.to_json()


def contenders(driven: dict[str, peers.Driven], documents: list[dict[str, Any]]) -> list[Contender]:
    texts = [orjson.dumps(document) for document in documents]
    plain = [text.decode() for text in texts]
    signed = {suite: [_issue(suite, text) for text in texts] for suite in (_RDFC, _JCS)}
    tokens = [sign_jwt(document, _SIGNER) for document in documents]
    method, did, key = _SIGNER.verification_method, _SIGNER.did, _SIGNER.public_key
    template = CredentialTemplate(documents[0], VARYING)
    values = [[_at(document, path) for path in VARYING] for document in documents]

    def by_template(texts_of_learner: list[str]) -> bytes:
        prepared = template.prepare(texts_of_learner, verification_method=method, created=CREATED)
        return orjson.dumps(prepared.attach(_SIGNER.sign(prepared.hash_data)))

    assert [by_template(one) for one in values] == signed[_RDFC]
    canonical = {_RDFC: [rdfc(document) for document in documents], _JCS: [jcs(document) for document in documents]}
    found: list[Contender] = []

    def add(operation: str, name: str, run: Callable[[int], list[float]], each: int) -> None:
        found.append(Contender(operation, name, run, each))

    for suite in (_RDFC, _JCS):
        own = [text.decode() for text in signed[suite]]
        for name, peer in driven.items():
            for verb in ("issue", "verify") if suite in _DRIVEN[name] else ():
                add(f"{suite}, {verb}", name, partial(peer.times, verb, suite), 20)
        add(f"{suite}, issue", "openvc-core (Python)", _timed(peers.openvc_issue(_SEED, method, suite), plain), 1)
        add(f"{suite}, verify", "openvc-core (Python)", _timed(peers.openvc_verify, own), 1)
        add(f"{suite}, issue", "Cairn", _timed(partial(_issue, suite), texts), 200)
        add(f"{suite}, verify", "Cairn", _timed(_verify, signed[suite]), 200)
        if suite == _RDFC:
            others = [orjson.dumps(unsigned(did, course, course)) for course in range(1, _COURSES + 1)]
            strangers = [_issue(suite, text) for text in others]
            add(f"{suite}, verify", "Cairn, each of another achievement", _timed(_verify, strangers), 200)
        floors = [(data, _SIGNER.sign(sha256(data).digest() * 2)) for data in canonical[suite]]
        add(f"{suite}, issue", "floor: hash and signature", _timed(_hash_and_sign, canonical[suite]), 200)
        add(f"{suite}, verify", "floor: hash and signature", _timed(partial(_hash_and_verify, key), floors), 200)
    add(f"{_RDFC}, issue", "openbadgeslib (Python)", _timed(peers.badgeslib_issue(_SEED, method), plain), 1)
    rdfc_texts = [text.decode() for text in signed[_RDFC]]
    add(f"{_RDFC}, verify", "openbadgeslib (Python)", _timed(peers.badgeslib_verify(did), rdfc_texts), 1)
    add(f"{_RDFC}, issue", "Cairn, by template", _timed(by_template, values), 200)
    inputs = [token.rpartition(".")[0].encode() for token in tokens]
    add("vc+jwt, issue", "floor: signature", _timed(_SIGNER.sign, inputs), 200)
    add("vc+jwt, issue", "Cairn", _timed(partial(sign_jwt, signer=_SIGNER), documents), 200)
    pairs = [(data, _SIGNER.sign(data)) for data in inputs]
    add("vc+jwt, verify", "floor: signature", _timed(lambda pair: key.verify(pair[1], pair[0]), pairs), 200)
    add("vc+jwt, verify", "Cairn", _timed(_verify, tokens), 200)
    return found


def _hash_and_sign(data: bytes) -> bytes:
    return _SIGNER.sign(sha256(data).digest() * 2)


def _hash_and_verify(key: Any, given: tuple[bytes, bytes]) -> None:
    assert key.verify(given[1], sha256(given[0]).digest() * 2)


def _at(document: Any, path: tuple[str | int, ...]) -> str:
    here = document
    for step in path:
        here = here[step]
    return here


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    commands = {_REFERENCE: peers.node_reference(), _RUST: peers.rust_ssi()}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    documents = [unsigned(_SIGNER.did, learner) for learner in range(1, _LEARNERS + 1)]
    driven: dict[str, peers.Driven] = {}
    try:
        for name, command in commands.items():
            text = orjson.dumps(undisputed(documents[0]) if name == _RUST else documents[0])
            ours = {suite: _issue(suite, text).decode() for suite in _DRIVEN[name]}
            if command is not None:
                driven[name] = peers.Driven(command, _SIGNER, _SEED, text.decode(), ours)
                for suite, signed in ours.items():
                    # Whoever does not make the same signature does not do the same work.
                    made = driven[name].issue(suite)
                    assert orjson.loads(made)["proof"] == orjson.loads(signed)["proof"], (name, suite)
                    _verify(made)
        racing = contenders(driven, documents)
        with Progress() as progress:
            for contender in progress.track(racing, description="warming up"):
                contender.run(contender.each * 3)
            for _ in progress.track(range(rounds), description="measuring"):
                for contender in racing:
                    contender.times += contender.run(contender.each)
    finally:
        for peer in driven.values():
            peer.close()
    if _RUST not in driven:
        Console().print(f"{_RUST} is not measured: there is no cargo to build it.")
    Console().print(_table(racing, len(orjson.dumps(documents[0])), rdfc(documents[0]).count(b"\n")))


def _table(racing: list[Contender], size: int, statements: int) -> Table:
    table = Table(title=f"One credential of {size:,} bytes and {statements} statements, one core")
    for name in ("", "", "median, µs", "fastest tenth, µs", "against Node", "against the floor"):
        table.add_column(name, justify="right" if name else "left")
    medians = {(one.operation, one.name): statistics.median(one.times) for one in racing}
    for operation in dict.fromkeys(one.operation for one in racing):
        for one in sorted(
            (one for one in racing if one.operation == operation), key=lambda one: -medians[operation, one.name]
        ):
            median = medians[operation, one.name]
            reference = medians.get((operation, _REFERENCE))
            floor = next(value for (of, name), value in medians.items() if of == operation and name.startswith("floor"))
            table.add_row(
                operation,
                one.name,
                f"{median:,.0f}",
                f"{statistics.quantiles(one.times, n=10)[0]:,.0f}",
                f"{reference / median:,.1f} x" if reference else "",
                f"{median / floor:,.1f} x",
            )
        table.add_section()
    return table


if __name__ == "__main__":
    main()
