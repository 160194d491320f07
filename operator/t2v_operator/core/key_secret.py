"""The Secret that keeps an API key: made and read. Pure; knows a key's digest, never the key."""

import base64
import re
from dataclasses import dataclass, field

from t2v_api.api_key import DIGEST_FILE, KEY_LABEL, RIGHTS_FILE, ApiKey
from t2v_api.base import ContractError

from t2v_operator.core.job import Manifest

NAME_PREFIX = "api-key-"
DIGEST = re.compile(r"[0-9a-f]{64}")


class KeySecretInvalid(Exception):
    """A Secret that is labelled as a key's and keeps none; says why, without its content."""


@dataclass(frozen=True)
class HeldKey:
    """What a Secret keeps of a key."""

    key: ApiKey
    digest: str = field(repr=False)


def key_secret(held: HeldKey, namespace: str) -> Manifest:
    """The Secret in the namespace of keys."""
    data = {DIGEST_FILE: held.digest, RIGHTS_FILE: held.key.json_line()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{NAME_PREFIX}{held.key.id}",
            "namespace": namespace,
            "labels": {KEY_LABEL: held.key.id},
        },
        "type": "Opaque",
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
    }


def read_key_secret(secret: Manifest) -> HeldKey:
    """What it keeps. Raises KeySecretInvalid: such a Secret opens nothing."""
    digest, rights = (_file(secret, name).strip() for name in (DIGEST_FILE, RIGHTS_FILE))
    if not DIGEST.fullmatch(digest):
        raise KeySecretInvalid(f"{DIGEST_FILE} is not SHA-256 in hex")
    try:
        key = ApiKey.parse_json(rights)
    except ContractError:
        # What is wrong would be quoted, and could be a key that somebody put there by mistake.
        raise KeySecretInvalid(f"{RIGHTS_FILE} is not what `t2v key create` writes") from None
    if (secret["metadata"].get("labels") or {}).get(KEY_LABEL) != key.id:
        raise KeySecretInvalid(f"the label {KEY_LABEL} is not the id in {RIGHTS_FILE}")
    return HeldKey(key, digest)


def _file(secret: Manifest, name: str) -> str:
    try:
        return base64.b64decode(secret["data"][name], validate=True).decode()
    except (LookupError, TypeError):
        raise KeySecretInvalid(f"{name} is missing") from None
    except ValueError:
        raise KeySecretInvalid(f"{name} is not text") from None
