"""The key that signs id_tokens: made once for a state file, published as a JWK."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_ID = "sandbox-1"
ALGORITHM = "RS256"


def new_key() -> rsa.RSAPrivateKey:
    """A fresh key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def dump(key: rsa.RSAPrivateKey) -> str:
    """As PEM, for the state file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def load(pem: str) -> rsa.RSAPrivateKey:
    """From PEM; raises ValueError or TypeError when it is not such a key."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the signing key is not an RSA key")
    return key


def public_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The public half, as the JWKS lists it."""
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": KEY_ID, "use": "sig", "alg": ALGORITHM}


def sign(key: rsa.RSAPrivateKey, claims: dict[str, Any]) -> str:
    """A compact JWT."""
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": KEY_ID})
