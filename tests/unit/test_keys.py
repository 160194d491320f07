"""Which pools an API key opens, what the gateway's signature is worth, what a Secret keeps."""

import base64
import json
from typing import Any

import pytest
from t2v_api.api_key import ApiKey, digest_of, grant
from t2v_api.reasons import Reason
from t2v_api.resource import Attempt, ObjectMeta, SecretKeyReference
from t2v_operator.config import OperatorConfig
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.job import build_job
from t2v_operator.core.key_secret import KeySecretInvalid, key_secret, read_key_secret
from t2v_operator.core.keys import (
    NO_EFFECT,
    Claim,
    KeyProblem,
    assumed_key,
    bound,
    is_granted,
    key_named,
    open_pools,
)
from t2v_operator.core.pools import larger_pool, placed
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused

from tests.unit.api_keys import FAST, ID, OTHER, SLOW, TEXT, a_config_with_keys, a_key, a_key_secret
from tests.unit.builders import a_config, a_resource
from tests.unit.model_observations import COMMIT, MODEL, a_model, told

SECRET = b"s" * 32
REFERENCE = {"keySecretRef": {"name": "alice"}}


def opened(key: ApiKey | None, config: OperatorConfig | None = None) -> list[str]:
    pools = open_pools(a_resource(), key, config or a_config_with_keys())
    return [pool.name for pool in pools]


def refusal(key: ApiKey | None, *pools: dict[str, Any], **spec: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as refused:
        resolve(a_resource(**spec), a_config_with_keys(*pools), key=key)
    return refused.value


def test_a_key_opens_its_pools_in_its_order_and_nothing_else() -> None:
    assert opened(a_key(pools=["other", "slow"])) == ["other", "slow"]
    assert opened(a_key(pools=["fast", "fast", "gone"])) == ["fast"]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(None, id="no key"),
        pytest.param(a_key(pools=[]), id="a key that names no pools"),
        pytest.param(a_key(namespace="team-b"), id="a key of another namespace"),
    ],
)
def test_without_a_key_that_names_pools_those_are_open_that_need_none(key: ApiKey | None) -> None:
    assert opened(key) == ["slow"]


def test_where_no_keys_are_used_every_pool_is_open() -> None:
    config = OperatorConfig.parse(a_config().document() | {"pools": [SLOW, {"name": "b"}]})
    assert opened(None, config) == opened(a_key(), config) == ["slow", "b"]


def test_a_pool_that_is_named_must_be_open() -> None:
    config = a_config_with_keys()
    job = resolve(a_resource(pool="slow"), config, key=a_key())
    assert placed(job, config).pool.name == "slow"
    refused = refusal(a_key(), pool="other")
    assert refused.reason is Reason.POOL_NEEDS_KEY
    assert "does not open pool 'other'; it opens fast, slow" in refused.message
    refused = refusal(None, pool="fast")
    assert refused.reason is Reason.POOL_NEEDS_KEY
    assert "keySecretRef" in refused.message
    assert refusal(None, pool="fats").reason is Reason.INVALID_REQUEST


def test_where_nothing_is_open_it_says_what_opens_something() -> None:
    assert "needs an API key" in refusal(None, FAST).message
    assert "names no pools" in refusal(a_key(pools=[]), FAST, OTHER).message
    assert "opens gone, and no such pool" in refusal(a_key(pools=["gone"]), FAST).message
    assert refusal(None, FAST).reason is Reason.POOL_NEEDS_KEY


def test_a_key_takes_its_first_pool_and_the_job_is_labelled_with_its_id() -> None:
    config = a_config_with_keys()
    job = placed(resolve(a_resource(**REFERENCE), config, key=a_key()), config)
    assert job.pool.name == "fast"
    manifest = build_job(job, config)
    assert manifest["metadata"]["labels"]["textto.video/api-key"] == ID
    assert "textto.video/api-key" not in manifest["spec"]["template"]["metadata"]["labels"]
    plain = build_job(resolve(a_resource(), config), config)
    assert "textto.video/api-key" not in plain["metadata"]["labels"]
    assert NO_EFFECT not in job.notices


def test_the_load_is_balanced_among_the_pools_that_are_open() -> None:
    document = a_config_with_keys().document()
    document["models"][0]["resources"] = {"gpus": 1, "memory": "4Gi"}
    config = OperatorConfig.parse(document)
    load = {"slow": 50.0, "fast": 100.0, "other": 0.0}
    job = resolve(a_resource(loadBalancer=True), config, key=a_key())
    assert placed(job, config, load=load).pool.name == "slow"
    without = placed(resolve(a_resource(loadBalancer=True), config), config, load=load)
    assert without.pool.name == "slow"
    assert "loadBalancer has nothing to balance" in without.notices[-1]


def test_a_video_moves_to_larger_pools_that_are_open_alone() -> None:
    sized = ({**SLOW, "gpuMemory": "24Gi"}, {**FAST, "gpuMemory": "48Gi"})
    config = a_config_with_keys(*sized, {**OTHER, "gpuMemory": "80Gi"})
    document = config.document()
    document["models"][0]["resources"] = {"gpus": 1, "memory": "4Gi"}
    config = OperatorConfig.parse(document)
    ran_out = (Attempt(pool="slow", reason=Reason.OUT_OF_MEMORY, exit_code=4),)
    with_key = larger_pool(resolve(a_resource(), config, key=a_key()), config, ran_out)
    assert with_key is not None
    assert with_key.name == "fast"
    assert larger_pool(resolve(a_resource(), config), config, ran_out) is None


def on_nodes_of(*pools: str) -> tuple[OperatorConfig, Catalogue]:
    """Keys, and a model that is fetched onto the nodes of these pools."""
    cache = {"kind": "hostPath", "path": "/var/lib/models"}
    config = OperatorConfig.parse(a_config_with_keys().document() | {"modelCache": cache})
    told_ready = told(True, sources="owner/name@main", commit=COMMIT)
    needs = {"gpus": 1, "memory": "4Gi"}
    model = a_model(status=told_ready, prefetch={"pools": list(pools)}, resources=needs)
    return config, Catalogue(config, {MODEL: model})


def test_of_the_pools_that_are_open_one_is_taken_that_has_the_model() -> None:
    config, catalogue = on_nodes_of("other", "slow")
    named = a_resource(modelId=MODEL)
    key = a_key(pools=["fast", "slow", "other"])
    job = resolve(named, config, catalogue=catalogue, key=key)
    assert job.pool.name == "slow"
    assert placed(job, config, load={"slow": 50.0}).pool.name == "slow"
    free = resolve(
        a_resource(modelId=MODEL, loadBalancer=True), config, catalogue=catalogue, key=key
    )
    assert placed(free, config, load={"slow": 50.0, "other": 10.0}).pool.name == "other"
    assert resolve(named, config, catalogue=catalogue).pool.name == "slow"


@pytest.mark.parametrize(
    ("pool", "reason", "words"),
    [
        (None, Reason.POOL_NEEDS_KEY, "the model is fetched onto the nodes of other alone; the"),
        ("other", Reason.POOL_NEEDS_KEY, "the API key 0123456789ab (alice) does not open pool 'o"),
        ("fats", Reason.POOL_NEEDS_KEY, "the model is fetched onto the nodes of other alone; the"),
    ],
)
def test_a_model_in_no_pool_that_is_open_is_refused(
    pool: str | None, reason: Reason, words: str
) -> None:
    config, catalogue = on_nodes_of("other")
    resource = a_resource(modelId=MODEL, pool=pool)
    with pytest.raises(RequestRefused) as refused:
        resolve(resource, config, catalogue=catalogue, key=a_key())
    assert refused.value.reason is reason
    assert refused.value.message.startswith(words)


def test_a_pool_that_is_open_and_has_not_the_model_is_refused() -> None:
    config, catalogue = on_nodes_of("slow")
    with pytest.raises(RequestRefused, match="fetched onto the nodes of slow alone") as refused:
        resolve(a_resource(modelId=MODEL, pool="fast"), config, catalogue=catalogue, key=a_key())
    assert refused.value.reason is Reason.INVALID_REQUEST


def test_where_no_keys_are_used_a_reference_is_named_in_a_notice() -> None:
    assert NO_EFFECT in resolve(a_resource(**REFERENCE), a_config()).notices
    assert NO_EFFECT not in resolve(a_resource(), a_config()).notices


def test_without_a_cluster_a_named_key_is_taken_to_open_everything() -> None:
    config = a_config_with_keys()
    key = assumed_key(a_resource(**REFERENCE), config)
    assert opened(key) == ["slow", "fast", "other"]
    assert assumed_key(a_resource(), config) is None


def metadata(**fields: Any) -> ObjectMeta:
    return ObjectMeta.parse({"name": "red-circle", "namespace": "default"} | fields)


def test_the_gateways_label_goes_before_a_reference() -> None:
    labelled = metadata(labels={"textto.video/api-key": ID})
    signed = metadata(
        labels={"textto.video/api-key": ID}, annotations={"textto.video/api-key-grant": "abc"}
    )
    assert key_named(metadata(), a_resource(**REFERENCE).spec) == SecretKeyReference(name="alice")
    assert key_named(labelled, a_resource(**REFERENCE).spec) == Claim(ID, "")
    assert key_named(labelled, a_resource().spec) == Claim(ID, "")
    assert key_named(signed, a_resource().spec) == Claim(ID, "abc")
    assert key_named(metadata(), a_resource().spec) is None


def test_a_signature_is_for_one_key_name_and_request() -> None:
    spec = a_resource().spec
    signature = grant(SECRET, ID, "default", "red-circle", spec.request_hash)
    claim = Claim(ID, signature)
    assert is_granted(claim, metadata(), spec, [SECRET])
    assert is_granted(claim, metadata(), spec, [b"the next one", SECRET])
    assert not is_granted(claim, metadata(), spec, [b"another"])
    assert not is_granted(claim, metadata(), spec, [])
    assert not is_granted(Claim("ba9876543210", signature), metadata(), spec, [SECRET])
    assert not is_granted(claim, metadata(name="blue-circle"), spec, [SECRET])
    assert not is_granted(claim, metadata(namespace="team-b"), spec, [SECRET])
    assert not is_granted(claim, metadata(), a_resource(prompt="a dog").spec, [SECRET])
    assert not is_granted(Claim(ID, ""), metadata(), spec, [SECRET])
    assert not is_granted(Claim(ID, "é"), metadata(), spec, [SECRET])


def test_what_does_not_make_the_video_may_change_after_the_signature() -> None:
    signature = grant(SECRET, ID, "default", "red-circle", a_resource().spec.request_hash)
    changed = a_resource(suspend=True, webhook="https://example.com/hook").spec
    assert is_granted(Claim(ID, signature), metadata(), changed, [SECRET])


def test_a_key_is_bound_to_its_namespace() -> None:
    assert bound(a_key(), ID, "default") == a_key()
    elsewhere, unknown = bound(a_key(), ID, "team-b"), bound(None, ID, "default")
    assert isinstance(elsewhere, KeyProblem)
    assert isinstance(unknown, KeyProblem)
    assert elsewhere.reason is unknown.reason is Reason.KEY_REFUSED
    assert "not for namespace team-b" in elsewhere.message
    assert "revoked" in unknown.message


def test_a_secret_keeps_what_a_key_opens_and_not_the_key() -> None:
    secret = a_key_secret()
    held = read_key_secret(secret)
    assert (held.key, held.digest) == (a_key(), digest_of(TEXT))
    assert key_secret(held, "t2v-system") == secret
    kept = json.dumps(secret) + "".join(
        base64.b64decode(each).decode() for each in secret["data"].values()
    )
    assert TEXT not in kept
    assert "k" * 43 not in kept
    assert held.digest not in repr(held)


def damaged(**data: str) -> dict[str, Any]:
    secret = a_key_secret()
    secret["data"] |= {
        name.replace("_", "."): base64.b64encode(text.encode()).decode()
        for name, text in data.items()
    }
    return secret


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        pytest.param(damaged(digest=TEXT), "digest is not SHA-256", id="the key as digest"),
        pytest.param(damaged(digest="A" * 64), "digest is not SHA-256", id="capitals"),
        pytest.param(damaged(key_json="{}"), "not what `t2v key create` writes", id="no rights"),
        pytest.param(damaged(key_json=TEXT), "not what `t2v key create` writes", id="no JSON"),
        pytest.param(a_key_secret() | {"data": {}}, "digest is missing", id="empty"),
        pytest.param(
            {"metadata": a_key_secret()["metadata"]}, "digest is missing", id="without data"
        ),
        pytest.param(
            a_key_secret() | {"data": {"digest": "//8="}}, "digest is not text", id="bytes"
        ),
        pytest.param(
            a_key_secret() | {"metadata": {"name": "a", "labels": {"textto.video/api-key": "f"}}},
            "label",
            id="another's label",
        ),
    ],
)
def test_a_damaged_secret_says_what_is_wrong_without_its_content(
    secret: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(KeySecretInvalid, match=complaint) as invalid:
        read_key_secret(secret)
    assert "k" * 43 not in str(invalid.value)
