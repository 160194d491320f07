"""The operator's own Secrets: found, or made by whichever replica is first."""

import base64
import logging
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.config import OwnSecretKey
from t2v_operator.core.job import Manifest
from t2v_operator.delivery.certificates import (
    Certificate,
    is_due,
    make_certificate,
    signs_itself,
)
from t2v_operator.delivery.prompt_endpoint import NoAnswer
from t2v_operator.delivery.signatures import KEY_FILES, SigningKeys
from t2v_operator.delivery.webhooks import SECRET_PREFIX, WebhookSecrets

KEY_BYTES = 32
AUTHORITY_KEY = "ca.key"
"""There where the operator is its own authority; anything else that makes the Secret has none."""

KEY_OF_AN_ENDPOINT = re.compile(rb"[!-~]+")
"""What a header can carry."""

logger = logging.getLogger("t2v_operator")


async def signing_keys(client: Client, namespace: str, name: str) -> SigningKeys:
    """The keys that sign the embedded store's links. Raises ClusterError, KeyInvalid."""
    secret = await client.get(SECRETS, namespace, name)
    if secret is None:
        made = secrets.token_urlsafe(KEY_BYTES).encode()
        secret = await _create(client, namespace, name, "Opaque", {KEY_FILES[0]: made})
    return SigningKeys.read(_data(secret))


async def grant_keys(client: Client, namespace: str, name: str) -> tuple[bytes, ...]:
    """What the gateway signs its requests with (`t2v_api.api_key.grant`), the present one first.

    Empty where the Secret is not there. The operator makes it at its start and never later: the
    gateways sign with the one that they have read. Raises ClusterError, KeyInvalid.
    """
    secret = await client.get(SECRETS, namespace, name)
    return SigningKeys.read(_data(secret)).keys if secret else ()


async def webhook_secrets(client: Client, namespace: str, name: str) -> WebhookSecrets:
    """What signs webhooks. Raises ClusterError, WebhookSecretInvalid."""
    secret = await client.get(SECRETS, namespace, name)
    if secret is None:
        made = SECRET_PREFIX.encode() + base64.b64encode(secrets.token_bytes(KEY_BYTES))
        secret = await _create(client, namespace, name, "Opaque", {KEY_FILES[0]: made})
    return WebhookSecrets.read(_data(secret))


async def endpoint_key(client: Client, namespace: str, reference: OwnSecretKey) -> str:
    """The key of the endpoint that enhances prompts. Raises NoAnswer; the log says more."""
    name = f"Secret {namespace}/{reference.name}"
    try:
        secret = await client.get(SECRETS, namespace, reference.name)
    except UNANSWERED as error:
        logger.warning("%s of promptEnhancement cannot be read: %s", name, type(error).__name__)
        raise NoAnswer("the language model's key cannot be read") from None
    key = _data(secret).get(reference.key, b"").strip() if secret else b""
    if not KEY_OF_AN_ENDPOINT.fullmatch(key):
        logger.warning("%s of promptEnhancement has no key under %r", name, reference.key)
        raise NoAnswer("the language model's key is missing")
    return key.decode()


async def server_certificate(
    client: Client, namespace: str, name: str, dns_names: Sequence[str]
) -> Certificate:
    """The report server's certificate, made or renewed if need be. Raises ClusterError."""
    now = datetime.now(UTC)
    secret = await client.get(SECRETS, namespace, name)
    if secret is None:
        data = _document(make_certificate(dns_names, now))
        secret = await _create(client, namespace, name, "kubernetes.io/tls", data)
    held = _certificate(secret)
    if signs_itself(held) and is_due(held, dns_names, now):
        data = _document(make_certificate(dns_names, now, before=held))
        renewed = {**secret, "data": _encoded(data)}
        try:
            held = _certificate(await client.replace(SECRETS, namespace, name, renewed))
        except ClusterError as error:
            if error.status != 409:
                raise
            # Another replica was first.
            held = _certificate(await client.get(SECRETS, namespace, name) or secret)
    return held


async def _create(
    client: Client, namespace: str, name: str, kind: str, data: dict[str, bytes]
) -> Manifest:
    body = {"metadata": {"name": name}, "type": kind, "data": _encoded(data)}
    try:
        return await client.create(SECRETS, namespace, body)
    except ClusterError as error:
        found = await client.get(SECRETS, namespace, name) if error.status == 409 else None
        if found is None:
            raise
        return found


def _certificate(secret: Manifest) -> Certificate:
    data = _data(secret)
    certificate, key = data.get("tls.crt", b""), data.get("tls.key", b"")
    return Certificate(certificate, key, data.get("ca.crt", b""), data.get(AUTHORITY_KEY, b""))


def _document(made: Certificate) -> dict[str, bytes]:
    return {
        "tls.crt": made.certificate,
        "tls.key": made.key,
        "ca.crt": made.authority,
        AUTHORITY_KEY: made.authority_key,
    }


def _data(secret: Manifest) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in (secret.get("data") or {}).items()}


def _encoded(data: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in data.items()}
