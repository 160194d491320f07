"""Models that come from OCI images: what is mounted, what names the weights, what is warned of."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.lora import LoraSource
from t2v_api.profile import ModelSource
from t2v_api.reasons import ModelReason
from t2v_operator.config import OperatorConfig
from t2v_operator.core.job import build_job
from t2v_operator.core.models.decide import decide_model
from t2v_operator.core.models.prefetch_job import prefetch_job
from t2v_operator.core.plan import read_plan

from tests.unit.builders import a_config, a_job
from tests.unit.model_observations import (
    COMMIT,
    a_config_with_a_cache,
    a_model,
    a_model_document,
    a_situation,
)

DIGEST = f"sha256:{'a' * 64}"
PINNED = f"registry.example.com:5000/models/wan@{DIGEST}"
TAG = "registry.example.com/models/wan:2.1"


def the_pod(config: OperatorConfig) -> dict[str, Any]:
    pod: dict[str, Any] = build_job(a_job(config), config)["spec"]["template"]["spec"]
    return pod


def images(pod: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each image volume with its mount."""
    mounts = {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}
    return [(each["image"], mounts[each["name"]]) for each in pod["volumes"] if "image" in each]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"image": TAG, "path": "a"}, "exactly one of"),
        ({"image": TAG, "revision": "main"}, "'revision' goes with 'hub'"),
        ({"path": "a", "pullPolicy": "Always"}, "only an image is pulled"),
        ({"image": TAG, "pullPolicy": "Sometimes"}, "pullPolicy"),
        ({"image": "https://registry.example.com/wan"}, "image"),
        ({"image": "wan@sha256:abc"}, "image"),
        ({"image": "two words"}, "image"),
    ],
    ids=str,
)
def test_what_is_no_source_is_refused(source: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        ModelSource.parse(source)


def test_a_lora_is_no_image() -> None:
    with pytest.raises(ContractError, match="image"):
        LoraSource.parse({"image": PINNED})


@pytest.mark.parametrize(
    ("image", "named", "is_pinned"),
    [(PINNED, DIGEST, True), (TAG, f"image:{TAG}", False), ("wan", "image:wan", False)],
    ids=["a digest", "a tag", "neither"],
)
def test_a_digest_names_the_weights_for_ever_and_a_tag_does_not(
    image: str, named: str, is_pinned: bool
) -> None:
    source = ModelSource(image=image)
    assert (source.named, source.is_pinned) == (named, is_pinned)


def test_a_job_mounts_the_image_where_the_runner_looks_and_fetches_nothing() -> None:
    source = {"image": PINNED, "pullPolicy": "Never"}
    pod = the_pod(a_config(source=source))
    ((image, mount),) = images(pod)
    assert image == {"reference": PINNED, "pullPolicy": "Never"}
    assert mount["readOnly"] is True
    assert mount["mountPath"] == ModelSource.parse(source).folder
    environment = {each["name"] for each in pod["containers"][0]["env"]}
    assert not [name for name in environment if name.startswith("T2V_MODELS")]


def test_when_a_node_pulls_is_for_kubernetes_to_say_unless_it_is_said() -> None:
    ((image, _),) = images(the_pod(a_config(source={"image": TAG})))
    assert image == {"reference": TAG}


def test_two_images_have_two_places_and_one_has_one() -> None:
    both = a_config(source={"image": PINNED}, motionAdapter={"image": TAG})
    places = {mount["mountPath"] for _, mount in images(the_pod(both))}
    assert len(places) == 2
    same = a_config(source={"image": TAG}, motionAdapter={"image": TAG})
    assert len(images(the_pod(same))) == 1


def test_the_record_of_a_video_has_the_digest() -> None:
    config = a_config(source={"image": PINNED})
    plan = read_plan(build_job(a_job(config), config))
    assert plan
    assert (plan.model_revision, plan.model_is_pinned) == (DIGEST, True)
    assert a_job(config).notices == ()


def test_a_tag_is_warned_of_where_people_look() -> None:
    config = a_config(source={"image": TAG})
    (notice,) = a_job(config).notices
    assert notice.startswith(f"image {TAG} has no digest: what it names may change")
    plan = read_plan(build_job(a_job(config), config))
    assert plan
    assert notice in plan.notices
    assert plan.model_is_pinned is False


def test_a_videomodel_of_an_image_is_ready_at_once_and_says_which_image() -> None:
    model = a_model_document(source={"image": PINNED}, prefetch=None)
    status = decide_model(a_situation(model)).status
    assert status
    assert (status.conditions[0].reason, status.image_digest) == (ModelReason.AVAILABLE, DIGEST)
    assert (status.commit, status.message) == (None, f"ready: each Job mounts the image {PINNED}")
    of_a_tag = decide_model(
        a_situation(a_model_document(source={"image": TAG}, prefetch=None))
    ).status
    assert of_a_tag
    assert of_a_tag.image_digest is None
    assert f"image {TAG} has no digest" in of_a_tag.message


def test_where_pods_mount_no_images_a_videomodel_says_so() -> None:
    config = a_config_with_a_cache().model_copy(update={"image_volumes": False})
    model = a_model_document(source={"image": PINNED}, prefetch=None)
    status = decide_model(a_situation(model, config=config)).status
    assert status
    assert status.conditions[0].reason == ModelReason.IMAGES_NOT_SUPPORTED
    assert "from Kubernetes 1.35 on" in status.message
    hub = decide_model(a_situation(a_model_document(prefetch=None), config=config)).status
    assert hub
    assert hub.conditions[0].reason == ModelReason.AVAILABLE


def test_what_fetches_the_rest_sees_the_image_too() -> None:
    hub = {"hub": "owner/name", "revision": COMMIT}
    model = a_model(source=hub, motionAdapter={"image": PINNED})
    pod = prefetch_job(model, a_config_with_a_cache())["spec"]["template"]["spec"]
    ((image, _),) = images(pod)
    assert image["reference"] == PINNED
