"""API keys for tests, and configurations that ask for them: name only what the test is about."""

from typing import Any

from t2v_api.api_key import ApiKey, digest_of
from t2v_operator.config import OperatorConfig
from t2v_operator.core.key_secret import HeldKey, key_secret

from tests.unit.builders import a_config

SYSTEM = "t2v-system"
ID = "0123456789ab"
TEXT = f"t2v_{ID}_{'k' * 43}"
FAST = {"name": "fast", "keys": "required"}
SLOW = {"name": "slow"}
OTHER = {"name": "other", "keys": "required"}


def a_key(key_id: str = ID, **fields: Any) -> ApiKey:
    """Alice's: for the default namespace, the pools fast and slow."""
    base = {"id": key_id, "name": "alice", "namespace": "default", "pools": ["fast", "slow"]}
    return ApiKey.parse(base | fields)


def a_key_secret(text: str = TEXT, name: str = "", **fields: Any) -> dict[str, Any]:
    """The Secret that keeps it."""
    secret = key_secret(HeldKey(a_key(**fields), digest_of(text)), SYSTEM)
    if name:
        secret["metadata"]["name"] = name
    return secret


def a_config_with_keys(*pools: dict[str, Any]) -> OperatorConfig:
    """The default configuration with API keys; its pools slow, fast and other."""
    document = a_config().document() | {"apiKeys": {"enabled": True}}
    return OperatorConfig.parse(document | {"pools": list(pools or (SLOW, FAST, OTHER))})
