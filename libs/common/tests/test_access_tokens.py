"""S4, S5, S6: an access token counts only when the operator's key signed it, with the key's own algorithm."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from cairn.common import auth
from cairn.common.auth import Authenticator, Forbidden, Unauthenticated, mint, new_signing_key, public_jwks
from cairn.common.instants import CLOCK_TOLERANCE, utc_now
from cairn.common.settings import Settings
from cairn.credentials import Policy


@pytest.fixture
def authenticator(settings: Settings) -> Authenticator:
    return Authenticator(settings)


def b64(value: bytes | dict) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes) -> dict:
    made = {
        "iss": "cairn",
        "aud": "cairn",
        "sub": "lms",
        "tenant": "north",
        "scope": "achievements:read",
        "exp": int(time.time()) + 600,
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def signed(key, header: dict | None = None, **changes) -> str:
    head = {"alg": "Ed25519", "kid": key.kid} | (header or {})
    return jwt.encode(head, claims(**changes), key, algorithms=["EdDSA", "Ed25519"])


def refusal(authenticator: Authenticator, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        authenticator.principal(token)
    assert token not in str(caught.value)
    return str(caught.value)


def test_a_token_of_the_operator_is_a_principal(authenticator, signing_key) -> None:
    token = mint(signing_key, "lms", "north", ["completions:write", "credentials:read"])
    principal = authenticator.principal(token)
    assert (principal.id, principal.tenant) == ("lms", "north")
    assert principal.scopes == {"completions:write", "credentials:read"}
    principal.need("credentials:read")
    with pytest.raises(Forbidden, match="credentials:write"):
        principal.need("credentials:write")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("name", ["Ed25519", "EdDSA"])
def test_either_name_of_the_algorithm_is_understood(authenticator, signing_key, name: str) -> None:
    assert authenticator.principal(signed(signing_key, {"alg": name})).tenant == "north"


def test_a_caller_without_a_token_has_the_public_scopes_only(settings) -> None:
    opened = settings.model_copy(update={"public_scopes": frozenset({"verifications:create"})})
    assert Authenticator(opened).principal(None).scopes == {"verifications:create"}
    assert Authenticator(settings).principal(None).scopes == frozenset()


def test_s4_alg_none_is_refused(authenticator, signing_key) -> None:
    for spelling in ("none", "None", "NONE", "nOnE", ""):
        head = {"alg": spelling, "kid": signing_key.kid}
        refusal(authenticator, f"{b64(head)}.{b64(claims())}.")
        refusal(authenticator, f"{b64(head)}.{b64(claims())}.{b64(b'x' * 64)}")


def public_forms(key: OKPKey) -> dict[str, bytes]:
    public = key.public_key
    raw, der, pem = serialization.Encoding.Raw, serialization.Encoding.DER, serialization.Encoding.PEM
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    jwk = key.as_dict(private=False)
    return {
        "raw": public.public_bytes(raw, serialization.PublicFormat.Raw),
        "der": public.public_bytes(der, info),
        "pem": public.public_bytes(pem, info),
        "jwk": json.dumps(jwk).encode(),
        "jwk-compact": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "x": str(jwk["x"]).encode(),
    }


@pytest.mark.parametrize("form", ["raw", "der", "pem", "jwk", "jwk-compact", "x"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_s4_a_mac_with_the_public_key_as_its_secret_is_refused(authenticator, signing_key, form, alg) -> None:
    signing_input = f"{b64({'alg': alg, 'kid': signing_key.kid})}.{b64(claims())}"
    digest = getattr(hashlib, f"sha{alg[2:]}")
    mac = hmac.digest(public_forms(signing_key)[form], signing_input.encode(), digest)
    refusal(authenticator, f"{signing_input}.{b64(mac)}")


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed448", "PS256", "HS256"])
def test_s4_another_algorithm_under_the_keys_name_is_refused(authenticator, signing_key, alg) -> None:
    makers = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "HS256": OctKey, "Ed448": OKPKey}
    sizes = {RSAKey: 2048, ECKey: "P-256", OctKey: 256, OKPKey: "Ed448"}
    maker = makers[alg]
    key = maker.generate_key(sizes[maker], {"kid": signing_key.kid})
    refusal(authenticator, jwt.encode({"alg": alg, "kid": signing_key.kid}, claims(), key, algorithms=[alg]))


@pytest.mark.parametrize("kid", ["own", "the operator's", None])
def test_s5_a_key_that_the_token_brings_along_is_not_used(authenticator, signing_key, kid) -> None:
    forger = new_signing_key()
    header: dict = {"alg": "Ed25519"}
    if kid:
        header["kid"] = forger.kid if kid == "own" else signing_key.kid
    for extra in (
        {"jwk": forger.as_dict(private=False)},
        {"jku": "https://forger.example/jwks.json"},
        {"x5u": "https://forger.example/chain.pem"},
        {"x5c": ["MIIB"]},
        {},
    ):
        head = header | extra
        signing_input = f"{b64(head)}.{b64(claims())}"
        signature = forger.private_key.sign(signing_input.encode())
        refusal(authenticator, f"{signing_input}.{b64(signature)}")


def test_s6_an_unknown_critical_header_is_refused(authenticator, signing_key) -> None:
    head = {"alg": "Ed25519", "kid": signing_key.kid, "crit": ["b65"], "b65": False}
    signing_input = f"{b64(head)}.{b64(claims())}"
    signature = signing_key.private_key.sign(signing_input.encode())
    refusal(authenticator, f"{signing_input}.{b64(signature)}")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": 1},
        pytest.param({"exp": int(time.time()) - 600}, id="exp: ten minutes ago"),
        {"exp": "tomorrow"},
        pytest.param({"nbf": int(time.time()) + 600}, id="nbf: in ten minutes"),
        {"tenant": None},
        {"tenant": ""},
        {"tenant": 7},
        {"tenant": "*"},
        {"tenant": "north,south"},
        {"tenant": "North"},
        {"scope": 7},
        {"scope": ["achievements:read"]},
    ],
    ids=str,
)
def test_claims_that_do_not_hold_are_refused(authenticator, signing_key, changes) -> None:
    refusal(authenticator, signed(signing_key, **changes))


def test_r12_a_token_is_judged_with_the_one_tolerance_at_both_ends(authenticator, signing_key) -> None:
    assert Policy(at=utc_now()).tolerance == CLOCK_TOLERANCE
    now, within = int(time.time()), int(CLOCK_TOLERANCE.total_seconds()) - 30
    for bound in ({"exp": now - within}, {"nbf": now + within}):
        assert authenticator.principal(signed(signing_key, **bound)).tenant == "north"
    for bound in ({"exp": now - within - 60}, {"nbf": now + within + 60}):
        refusal(authenticator, signed(signing_key, **bound))


def test_a_refusal_says_why_and_where_another_is_got(authenticator, signing_key) -> None:
    for token, why in (
        (signed(signing_key, exp=int(time.time()) - 3600), "has expired"),
        (signed(signing_key)[:-4] + "AAAA", "signed by no key that is known here"),
        ("a.b.c", "is no JWT"),
    ):
        with pytest.raises(Unauthenticated, match=why) as caught:
            authenticator.principal(token)
        assert "mint" in caught.value.fix


def test_scopes_that_do_not_exist_are_not_given(authenticator, signing_key) -> None:
    token = signed(signing_key, scope="achievements:read root:all")
    assert authenticator.principal(token).scopes == {"achievements:read"}


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "a.b.c.d.e", "é.é.é", "x" * 9000, "\x00"])
def test_what_is_no_token_is_refused(authenticator, token) -> None:
    with pytest.raises(Unauthenticated):
        authenticator.principal(token)


def test_a_jws_without_claims_is_refused(authenticator, signing_key) -> None:
    for payload in (b"[]", b'"text"', b"not json"):
        head = {"alg": "Ed25519", "kid": signing_key.kid}
        refusal(authenticator, jws.serialize_compact(head, payload, signing_key, algorithms=["Ed25519"]))


def test_a_signature_that_was_altered_is_refused(authenticator, signing_key) -> None:
    head, body, signature = mint(signing_key, "lms", "north", ["achievements:read"]).split(".")
    other = b64(claims(tenant="south"))
    refusal(authenticator, f"{head}.{other}.{signature}")
    refusal(authenticator, f"{head}.{body}.{'A' + signature[1:] if signature[0] != 'A' else 'B' + signature[1:]}")
    refusal(authenticator, f"{head}.{body}.")


def test_a_retired_key_stays_good_while_it_is_in_the_set_and_no_longer(settings, signing_key) -> None:
    successor = new_signing_key()
    both = json.dumps({"keys": [key.as_dict(private=False) for key in (signing_key, successor)]})
    token = mint(signing_key, "lms", "north", ["achievements:read"])
    rotating = Authenticator(settings.model_copy(update={"auth_jwks": both}))
    assert rotating.principal(token).tenant == "north"
    assert rotating.principal(mint(successor, "lms", "north", ["achievements:read"])).tenant == "north"
    refusal(Authenticator(settings.model_copy(update={"auth_jwks": public_jwks(successor)})), token)


@pytest.mark.parametrize("kind", ["private", "rsa", "oct", "x25519", "empty"])
def test_the_services_take_public_ed25519_keys_only(settings, kind) -> None:
    keys = {
        "private": lambda: [new_signing_key().as_dict(private=True)],
        "rsa": lambda: [RSAKey.generate_key(2048).as_dict(private=False)],
        "oct": lambda: [OctKey.generate_key(256).as_dict(private=True)],
        "x25519": lambda: [OKPKey.generate_key("X25519").as_dict(private=False)],
        "empty": list,
    }[kind]()
    with pytest.raises(ValueError, match="CAIRN_AUTH_JWKS"):
        Authenticator(settings.model_copy(update={"auth_jwks": json.dumps({"keys": keys})}))


def test_mint_refuses_a_scope_that_does_not_exist(signing_key) -> None:
    with pytest.raises(ValueError, match="root:all"):
        mint(signing_key, "lms", "north", ["root:all"])


def test_a_minted_token_ends(authenticator, signing_key) -> None:
    refusal(authenticator, mint(signing_key, "lms", "north", ["achievements:read"], valid=timedelta(minutes=-6)))


def test_the_command_line_makes_a_key_and_a_token(settings, tmp_path, capsys) -> None:
    file = tmp_path / "operator.json"
    assert auth.main(["keygen", str(file)]) == 0
    jwks = capsys.readouterr().out
    assert '"d"' not in jwks
    assert file.stat().st_mode & 0o077 == 0
    assert auth.main(["mint", str(file), "lms", "north", "completions:write"]) == 0
    token = capsys.readouterr().out.strip()
    (tmp_path / "jwks.json").write_text(jwks)
    reading = Authenticator(settings.model_copy(update={"auth_jwks": str(tmp_path / "jwks.json")}))
    assert reading.principal(token).scopes == {"completions:write"}
    assert auth.main(["mint", str(file), "lms", "north"]) == 2
