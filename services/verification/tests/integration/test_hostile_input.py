"""Whatever is sent, the answer is a finding or a refusal: never a failure of the service."""

import json
import random
from copy import deepcopy

import pytest

PATH = "/v1/verifications"
ODD = [
    None,
    True,
    0,
    -1,
    2**70,
    1e308,
    "",
    "\x00",
    "\ud800",
    "x" * 5000,
    "did:web:localhost",
    "did:web:%00",
    "did:key:z",
    "https://127.0.0.1/",
    [],
    {},
    [[]],
    [None] * 50,
    {"@value": None},
    {"@id": 7},
    {"@list": [{"@set": []}]},
    {"id": {"id": {}}},
    {"type": [[]]},
]


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from paths_of(member, (*path, key))
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from paths_of(member, (*path, position))


def mutated(credential: dict, dice: random.Random):
    """A copy in which one to three places were replaced, removed, doubled or renamed."""
    copy = deepcopy(credential)
    for _ in range(dice.randint(1, 3)):
        path = dice.choice([path for path in paths_of(copy) if path])
        place = copy
        for part in path[:-1]:
            place = place[part]
        last, what = path[-1], dice.randrange(4)
        if what == 0:
            place[last] = deepcopy(dice.choice(ODD))
        elif what == 1:
            del place[last]
        elif what == 2:
            place[last] = [place[last], deepcopy(dice.choice(ODD))]
        elif isinstance(place, dict):
            place[dice.choice(["@id", "@type", "@graph", "__proto__", "https://x.example/y", ""])] = place.pop(last)
    return copy


def refused_or_found(answer) -> None:
    assert answer.status_code in {200, 422}, (answer.status_code, answer.text, answer.request.content[:2000])
    if answer.status_code == 200:
        assert not answer.json()["verified"]


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_credentials(client, north, seed: int) -> None:
    dice = random.Random(seed)
    credential = north.credential(index=1)
    for _ in range(60):
        body = json.dumps({"credential": mutated(credential, dice)}).encode()
        answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
        if answer.status_code == 200 and answer.json()["verified"]:
            assert json.loads(body)["credential"] == credential  # the dice changed nothing
            continue
        refused_or_found(answer)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/vc", "application/vc+jwt", "multipart/form-data; boundary=b"]
)
async def test_random_bytes(client, media_type: str) -> None:
    dice = random.Random(media_type)
    for _ in range(50):
        body = dice.randbytes(dice.randint(1, 300))
        if "multipart" in media_type:
            body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + body + b"\r\n--b--\r\n"
        refused_or_found(await client.post(PATH, content=body, headers={"content-type": media_type}))


async def test_random_tokens(client, north) -> None:
    dice = random.Random(7)
    token = north.token()
    for _ in range(100):
        letters = list(token)
        for _ in range(dice.randint(1, 4)):
            letters[dice.randrange(len(letters))] = dice.choice("AZaz09-_.=~ \x00é{")
        answer = await client.post(PATH, json={"credential": "".join(letters)})
        if "".join(letters) != token:
            assert answer.status_code in {200, 422}
            assert not (answer.status_code == 200 and answer.json()["verified"])


@pytest.mark.parametrize(
    "header", ["", "multipart/form-data", "multipart/form-data; boundary=", "application/json; charset=utf-7", "a/b; c"]
)
async def test_odd_media_types(client, header: str) -> None:
    answer = await client.post(PATH, content=b"{}", headers={"content-type": header})
    assert answer.status_code in {415, 422}
    refused = answer.json()
    assert all(fault["fix"] for fault in refused.get("errors", [refused])), refused
