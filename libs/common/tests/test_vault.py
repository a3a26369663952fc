"""S29, S36: personal data open only where they belong, and no longer once their key is destroyed."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cairn.common.vault import Unreadable, Vault

KEK = SecretStr("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
OTHER = SecretStr("ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=")


@given(st.binary(max_size=4096), st.text(max_size=80))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, place: str) -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    assert vault.open(key, vault.seal(key, plaintext, place), place) == plaintext
    assert vault.open_own(vault.seal_own(plaintext, place), place) == plaintext


def test_s36_a_sealed_value_does_not_open_where_it_was_moved_to() -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    sealed = vault.seal(key, b"Ada", "learners.name:lrn_1")
    for place in ("learners.name:lrn_2", "learners.mail:lrn_1", "", "learners.name:lrn_1 "):
        with pytest.raises(Unreadable):
            vault.open(key, sealed, place)
    with pytest.raises(Unreadable):
        vault.open_own(vault.seal_own(b"body", "dead_letters:1"), "dead_letters:2")


def test_s29_a_destroyed_key_leaves_nothing_to_read() -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    sealed = vault.seal(key, b"Ada", "p")
    vault.forget()
    with pytest.raises(Unreadable, match="destroyed"):
        vault.open(None, sealed, "p")
    # Neither another learner's key nor the service's own opens it.
    with pytest.raises(Unreadable):
        vault.open(vault.new_key(), sealed, "p")
    with pytest.raises(Unreadable):
        vault.open_own(sealed, "p")


def test_s29_a_backup_is_unreadable_without_the_services_key() -> None:
    vault, thief = Vault(KEK), Vault(OTHER)
    key = vault.new_key()
    sealed = vault.seal(key, b"Ada", "p")
    with pytest.raises(Unreadable):
        thief.open(key, sealed, "p")
    with pytest.raises(Unreadable):
        thief.open_own(vault.seal_own(b"x", "p"), "p")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_every_altered_byte_is_noticed(position: int, difference: int) -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    sealed = bytearray(vault.seal(key, b"Ada Lovelace", "p"))
    sealed[position % len(sealed)] ^= difference
    with pytest.raises(Unreadable):
        vault.open(key, bytes(sealed), "p")


def test_truncated_bytes_are_unreadable() -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    sealed = vault.seal(key, b"Ada", "p")
    for length in range(len(sealed)):
        with pytest.raises(Unreadable):
            vault.open(key, sealed[:length], "p")
    with pytest.raises(Unreadable):
        vault.open(key[:-1], sealed, "p")
    with pytest.raises(Unreadable):
        vault.open(b"", sealed, "p")


def test_the_same_words_are_sealed_differently_each_time() -> None:
    vault = Vault(KEK)
    key = vault.new_key()
    assert len({vault.seal(key, b"Ada", "p") for _ in range(100)}) == 100
    assert len({vault.new_key() for _ in range(100)}) == 100
    assert b"Ada" not in vault.seal(key, b"Ada" * 50, "p")


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_a_blind_index_is_equal_for_equal_parts_only(one: list[str], other: list[str]) -> None:
    vault = Vault(KEK)
    assert (vault.blind(*one) == vault.blind(*other)) == (one == other)


def test_a_blind_index_cannot_be_computed_without_the_key() -> None:
    value = os.urandom(8).hex()
    assert Vault(KEK).blind("mail", value) != Vault(OTHER).blind("mail", value)
