"""The key ring: first key writes, all read, a moved row is refused, a key is never shown."""

import hashlib

import pytest
from cryptography.fernet import Fernet

from integrations_hub.errors import SecretKeyMissing, SettingInvalid
from integrations_hub.ports.credentials import Sealed
from integrations_hub.vault.keyring import Keyring

OLD, NEW = Keyring.new_key(), Keyring.new_key()


def test_sealed_text_opens_again():
    ring = Keyring.from_setting(NEW)
    assert (
        ring.open(ring.seal("pair", purpose="7:oauth_tokens"), purpose="7:oauth_tokens") == "pair"
    )


def test_the_first_key_writes_and_the_others_still_read():
    before = Keyring.from_setting(OLD).seal("pair", purpose="p")
    ring = Keyring.from_setting(f" {NEW} ,{OLD},")
    assert ring.open(before, purpose="p") == "pair"
    assert (
        ring.seal("x", purpose="p").key_id
        == hashlib.sha256(NEW.encode()).hexdigest()[:12]
        == ring.key_id
    )


def test_a_wrong_key_label_is_tolerated():
    ring = Keyring.from_setting(f"{NEW},{OLD}")
    sealed = Keyring.from_setting(OLD).seal("pair", purpose="p")
    assert ring.open(Sealed("000000000000", sealed.ciphertext), purpose="p") == "pair"


def test_a_secret_moved_to_another_connection_is_refused():
    ring = Keyring.from_setting(NEW)
    with pytest.raises(SettingInvalid, match="another place"):
        ring.open(ring.seal("pair", purpose="7:oauth_tokens"), purpose="8:oauth_tokens")


def test_a_dropped_key_is_named_by_its_id():
    sealed = Keyring.from_setting(OLD).seal("pair", purpose="p")
    with pytest.raises(SettingInvalid, match=sealed.key_id):
        Keyring.from_setting(NEW).open(sealed, purpose="p")


def test_a_damaged_secret_is_refused():
    ring = Keyring.from_setting(NEW)
    sealed = ring.seal("pair", purpose="p")
    with pytest.raises(SettingInvalid):
        ring.open(Sealed(sealed.key_id, sealed.ciphertext[:-4] + b"AAAA"), purpose="p")


def test_rotation_keeps_content_purpose_and_time_and_needs_the_new_key_alone():
    before = Keyring.from_setting(OLD).seal("pair", purpose="7:oauth_tokens")
    ring = Keyring.from_setting(f"{NEW},{OLD}")
    after = ring.rotate(before)
    alone = Keyring.from_setting(NEW)
    assert alone.open(after, purpose="7:oauth_tokens") == "pair"
    assert (ring.is_current(before), ring.is_current(after)) == (False, True)
    sealed_at = [
        Fernet(key).extract_timestamp(one.ciphertext) for key, one in ((OLD, before), (NEW, after))
    ]
    assert sealed_at[0] == sealed_at[1]
    with pytest.raises(SettingInvalid, match=before.key_id):
        alone.rotate(before)


def test_a_label_proves_nothing():
    before = Keyring.from_setting(OLD).seal("pair", purpose="p")
    ring = Keyring.from_setting(f"{NEW},{OLD}")
    assert not ring.is_current(Sealed(ring.key_id, before.ciphertext))
    assert ring.can_open(Sealed("000000000000", before.ciphertext))
    assert not Keyring.from_setting(NEW).can_open(Sealed(ring.key_id, before.ciphertext))


@pytest.mark.parametrize("text", ["", "  ", ",,"])
def test_no_key_is_a_missing_key(text):
    with pytest.raises(SecretKeyMissing, match="INTEGRATIONS_SECRET_KEY is not set"):
        Keyring.from_setting(text)


@pytest.mark.parametrize(
    "bad", ["not-a-key", "ä" * 44, NEW[:-1]], ids=["no key", "no base64", "too short"]
)
def test_a_malformed_key_is_counted_and_never_shown(bad):
    with pytest.raises(SettingInvalid, match="key 2 of 2") as caught:
        Keyring.from_setting(f"{NEW},{bad}")
    assert bad not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None


def test_a_signature_fits_its_data_and_any_key_of_the_ring():
    signed = Keyring.from_setting(OLD).sign(b"state")
    ring = Keyring.from_setting(f"{NEW},{OLD}")
    assert ring.verify(b"state", signed)
    assert not ring.verify(b"other", signed)
    assert not ring.verify(b"state", signed[:-1] + ("0" if signed[-1] != "0" else "1"))
    assert not ring.verify(b"state", "é")
    assert not Keyring.from_setting(NEW).verify(b"state", signed)
