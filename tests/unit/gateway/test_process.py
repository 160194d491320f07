"""What the process puts together from its configuration and the operator's Secrets."""

import asyncio
import base64
from typing import Any

import pytest
from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, grant, new_key
from t2v_api.resource import TextToVideoJobSpec
from t2v_gateway.main import Process
from t2v_gateway.settings import GatewaySettings
from t2v_operator.cluster.kinds import RESOURCES, SECRETS
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.cluster.api_server import ApiServer
from tests.unit.gateway.test_whose import SPEC

CURRENT, PREVIOUS = b"c" * 43, b"p" * 43


def a_server() -> ApiServer:
    """With the Secret that the operator makes."""
    server = ApiServer()
    data = {"current": CURRENT, "previous": PREVIOUS}
    secret = {name: base64.b64encode(value).decode() for name, value in data.items()}
    metadata = {"name": a_config().gateway_secret, "namespace": "default"}
    server.put(SECRETS, {"metadata": metadata, "data": secret})
    return server


def prepared(server: ApiServer, **api_keys: Any) -> Process:
    document = a_config().document() | {"apiKeys": {"enabled": True, **api_keys}}
    config = OperatorConfig.parse(document)
    client: Any = server
    nothing: Any = None
    return asyncio.run(Process.prepare(client, config, GatewaySettings(), nothing))


@pytest.mark.parametrize(("named", "watched"), [(None, "default"), ("keys", "keys")])
def test_keys_are_watched_in_the_namespace_that_is_named(named: str | None, watched: str) -> None:
    process = prepared(a_server(), namespace=named)
    (scope,) = (each.scope for each in process._reflectors if each.kind is SECRETS)
    assert scope == watched


def test_what_was_signed_before_the_secret_was_changed_is_still_its_keys() -> None:
    server = a_server()
    videos = prepared(server)._gateway.videos
    key, spec = new_key(), TextToVideoJobSpec.parse(SPEC)
    for secret_used in (CURRENT, PREVIOUS):
        signature = grant(secret_used, key.id, "films", "v", spec.request_hash)
        document = {
            "metadata": {
                "name": "v",
                "namespace": "films",
                "labels": {KEY_LABEL: key.id},
                "annotations": {GRANT_ANNOTATION: signature},
            },
            "spec": SPEC,
        }
        assert videos.read(server.put(RESOURCES, document)).key_id == key.id
