"""Signatures (Ed25519, RFC 8032) of what must not be changed unseen."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class KeyRefused(RuntimeError):
    """A key cannot be read; the text names the file and never what is in it."""


class Signer:
    """Signs with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, text: bytes) -> str:
        """The signature of ``text``, 128 hexadecimal digits."""
        return self._key.sign(text).hex()

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits."""
        return _text_of(self._key.public_key())


def signer_at(path: Path) -> Signer:
    """The signer whose private key is at ``path``, made when there is none, the public one beside it.

    Raises:
        KeyRefused: when the file is no such key, or others may read it.
    """
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise KeyRefused(f"{path} can be read by others; chmod 600 it, and make a new key if they did")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(f"{path} is no Ed25519 private key in PEM") from None
    return Signer(key)


def public_key_at(path: Path) -> str:
    """The public key in the file at ``path`` (64 hexadecimal digits); raises KeyRefused when it is none."""
    try:
        text = path.read_text("ascii").strip()
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except (OSError, ValueError):
        raise KeyRefused(f"{path} holds no public key of 64 hexadecimal digits") from None
    return text


def is_signed(text: bytes, signature: str, public: str) -> bool:
    """Whether ``signature`` was made over ``text`` with the private half of ``public``."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    path.with_suffix(".pub").write_text(_text_of(key.public_key()) + "\n", "ascii")


def _text_of(key: Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
