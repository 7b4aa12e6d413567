"""The key ring: seals secrets for the database and signs what leaves for a browser."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from integrations_hub.errors import SecretKeyMissing, SettingInvalid
from integrations_hub.ports.credentials import MISPLACED, Sealed

_SETTING = "INTEGRATIONS_SECRET_KEY"
_SIGNING = b"hub signature v1"


@dataclass(frozen=True)
class _Key:
    key_id: str
    fernet: Fernet = field(repr=False)
    signing: bytes = field(repr=False)


class Keyring:
    """Fulfils ports.KeyRing and ports.Signer. The first key writes, every key reads.

    The purpose stands inside the ciphertext: Fernet has no associated data, and a row moved to
    another connection must not open there.
    """

    def __init__(self, keys: list[_Key], on_open: Callable[[str], None] | None = None) -> None:
        self._keys = keys
        self._on_open = on_open or _nobody

    @staticmethod
    def from_setting(text: str, on_open: Callable[[str], None] | None = None) -> Keyring:
        """A comma list of Fernet keys; `on_open` is told every plaintext that passes. Raises SecretKeyMissing or SettingInvalid, never showing a key."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts:
            raise SecretKeyMissing(f"{_SETTING} is not set.")
        return Keyring(
            [_key(part, number, len(parts)) for number, part in enumerate(parts, start=1)], on_open
        )

    @staticmethod
    def new_key() -> str:
        """A fresh Fernet key as text."""
        return Fernet.generate_key().decode()

    @property
    def key_id(self) -> str:
        """Which key writes now: the first 12 hex digits of its SHA-256."""
        return self._keys[0].key_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """All keys, the writing one first."""
        return tuple(key.key_id for key in self._keys)

    def seal(self, plaintext: str, *, purpose: str) -> Sealed:
        """Encrypt with the first key."""
        self._on_open(plaintext)
        inside = f"{purpose}\0{plaintext}".encode()
        return Sealed(self._keys[0].key_id, self._keys[0].fernet.encrypt(inside))

    def open(self, sealed: Sealed, *, purpose: str) -> str:
        """Decrypt. Raises SettingInvalid when no key fits or the secret is of another purpose."""
        found, _, plaintext = self._decrypt(sealed).decode().partition("\0")
        if not hmac.compare_digest(found.encode(), purpose.encode()):
            raise SettingInvalid(
                "A stored secret belongs to another place than the one it was read from.",
                hint="The row was moved or copied by hand: reconnect the connection.",
                code=MISPLACED,
            )
        self._on_open(plaintext)
        return plaintext

    def can_open(self, sealed: Sealed) -> bool:
        """Whether any key of the ring opens it, whatever its label says."""
        try:
            self._decrypt(sealed)
        except SettingInvalid:
            return False
        return True

    def is_current(self, sealed: Sealed) -> bool:
        """Whether the first key alone opens it, and its label says so."""
        first = Keyring(self._keys[:1])
        return sealed.key_id == self.key_id and first.can_open(sealed)

    def rotate(self, sealed: Sealed) -> Sealed:
        """The same content under the first key; purpose and time of sealing stay as they were.

        Raises SettingInvalid when no key fits.
        """
        self._decrypt(sealed)  # for its error, which names the key
        ring = MultiFernet([key.fernet for key in self._keys])
        return Sealed(self.key_id, ring.rotate(sealed.ciphertext))

    def _decrypt(self, sealed: Sealed) -> bytes:
        # the labelled key first, then all others: a wrong label is tolerated
        ring = sorted(self._keys, key=lambda key: key.key_id != sealed.key_id)
        try:
            return MultiFernet([key.fernet for key in ring]).decrypt(sealed.ciphertext)
        except InvalidToken:
            raise SettingInvalid(
                f"No key of {_SETTING} opens a secret that key {sealed.key_id} wrote.",
                hint=f"Put that key back into {_SETTING} (behind the first one), or reconnect.",
                code="SECRET_KEY_UNKNOWN",
            ) from None

    def sign(self, data: bytes) -> str:
        """HMAC-SHA256 in hex, with a key derived for signing only."""
        return _mac(self._keys[0], data)

    def verify(self, data: bytes, signature: str) -> bool:
        """Whether any key of the ring signed `data`; constant time per key."""
        given = signature.encode()
        return any(hmac.compare_digest(_mac(key, data).encode(), given) for key in self._keys)


def _nobody(_plaintext: str) -> None:
    """Nobody is told."""


def _key(text: str, number: int, total: int) -> _Key:
    try:
        fernet = Fernet(text.encode())
    except ValueError:
        raise SettingInvalid(
            f"{_SETTING}: key {number} of {total} is not a Fernet key.",
            hint="Use the 44 characters that `hub secrets new-key` prints.",
        ) from None
    signing = hmac.new(text.encode(), _SIGNING, hashlib.sha256).digest()
    return _Key(hashlib.sha256(text.encode()).hexdigest()[:12], fernet, signing)


def _mac(key: _Key, data: bytes) -> str:
    return hmac.new(key.signing, data, hashlib.sha256).hexdigest()
