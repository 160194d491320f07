"""What a manifest may say, and what a user is told when it says something else."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.resource import REQUEST_FIELDS, TextToVideoJobSpec, hash_of

from tests.unit.builders import a_resource

MEDIA = {"initVideo": "https://example.com/a.mp4"}
IMAGES = {"initImage": "https://a/b.png", "endImage": "https://a/c.png"}


def a_spec(**fields: Any) -> TextToVideoJobSpec:
    return TextToVideoJobSpec.parse({"modelId": "m", "prompt": "p", **fields}, "spec")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"prompt": "x" * 4096}, id="longest prompt"),
        pytest.param({"prompt": 'a "red"\n circle 🔴 דג'}, id="quotes, newline, emoji, Hebrew"),
        pytest.param({"negativePrompt": ""}, id="empty negative prompt"),
        pytest.param({"width": 64, "height": 4096}, id="smallest and largest size"),
        pytest.param({"numInferenceSteps": 1}, id="one step"),
        pytest.param({"numInferenceSteps": 200}, id="two hundred steps"),
        pytest.param({"guidanceScale": 1}, id="an integer where a number is wanted"),
        pytest.param({"guidanceScale": 20.0}, id="largest guidance"),
        pytest.param({"seed": None}, id="null seed"),
        pytest.param({"seed": 2**63 - 1}, id="largest seed"),
        pytest.param({**MEDIA, "strength": 1.0}, id="full strength"),
        pytest.param({**MEDIA}, id="init media without strength"),
        pytest.param({**MEDIA, "mode": "Restyle"}, id="a video to restyle"),
        pytest.param({**IMAGES, "mode": "FirstFrame", "strength": 0.5}, id="both frames"),
        pytest.param({"endImage": "store://a.png"}, id="a last frame alone"),
        pytest.param({"webhook": "https://example.com/x?y=1"}, id="webhook"),
        pytest.param({"trackId": "ü/1 2"}, id="opaque track id"),
        pytest.param({"scheduler": "LCMScheduler"}, id="scheduler"),
        pytest.param({"ttlSecondsAfterFinished": 0}, id="ttl of nothing"),
        pytest.param({"outputTtlSeconds": 0}, id="files that go at once"),
    ],
)
def test_a_valid_spec_survives_json(fields: dict[str, Any]) -> None:
    spec = a_spec(**fields)
    assert TextToVideoJobSpec.parse_json(spec.json_line()) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": ""}, "spec.prompt: "),
        ({"prompt": "  \n"}, "spec.prompt: must not be blank"),
        ({"prompt": "x" * 4097}, "4096 characters"),
        ({"prompt": 7}, "spec.prompt: Input should be a valid string, not 7"),
        ({"negativePrompt": "x" * 4097}, "spec.negativePrompt"),
        ({"modelId": "a b"}, "spec.modelId"),
        ({"width": 56}, "greater than or equal to 64, not 56"),
        ({"width": 513}, "multiple of 8, not 513"),
        ({"height": 4104}, "less than or equal to 4096, not 4104"),
        ({"width": "512"}, "spec.width: Input should be a valid integer"),
        ({"width": 512.5}, "spec.width"),
        ({"width": True}, "spec.width"),
        ({"numInferenceSteps": 0}, "spec.numInferenceSteps"),
        ({"numInferenceSteps": 201}, "spec.numInferenceSteps"),
        ({"guidanceScale": 0.9}, "spec.guidanceScale"),
        ({"guidanceScale": 20.1}, "spec.guidanceScale"),
        ({"guidanceScale": float("nan")}, "spec.guidanceScale"),
        ({"seed": -1}, "spec.seed: Input should be greater than or equal to 0, not -1"),
        ({"seed": 2**63}, "spec.seed"),
        ({"strength": 0.5}, "'strength' goes with an 'initImage' or 'initVideo'"),
        ({**MEDIA, "strength": 0}, "spec.strength"),
        ({**MEDIA, "strength": 1.1}, "spec.strength"),
        ({**MEDIA, "initImage": "https://a/b.png"}, "not both"),
        ({**MEDIA, "endImage": "https://a/b.png"}, "'endImage' goes with an 'initImage'"),
        ({**MEDIA, "mode": "FirstFrame"}, "an 'initVideo' is always restyled"),
        ({"mode": "FirstFrame"}, "mode FirstFrame goes with an 'initImage'"),
        ({"mode": "Restyle"}, "mode Restyle goes with an 'initImage' or 'initVideo'"),
        ({**IMAGES, "mode": "Restyle"}, "mode Restyle has no last frame"),
        ({"endImage": "https://a/b.png", "strength": 0.5}, "'strength' goes with an 'initImage'"),
        ({**IMAGES, "mode": "Restyled"}, "did you mean 'Restyle'?"),
        ({"endImage": "ftp://a/b.png"}, "spec.endImage"),
        ({"initImage": "ftp://a/b.png"}, "spec.initImage"),
        ({"webhook": "example.com"}, "spec.webhook"),
        ({"enhancePrompt": "yes"}, "spec.enhancePrompt"),
        ({"scheduler": "DDIM"}, "did you mean 'DDIMScheduler'?"),
        ({"schedulerPolicy": "Exact"}, "spec.schedulerPolicy"),
        ({"numFrames": 0}, "spec.numFrames"),
        ({"fps": 61}, "spec.fps"),
        ({"backoffLimit": -1}, "spec.backoffLimit"),
        ({"maxDisruptions": -1}, "spec.maxDisruptions"),
        ({"queueDeadlineSeconds": 0}, "spec.queueDeadlineSeconds"),
        ({"queueName": "A queue"}, "spec.queueName"),
        ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished"),
        ({"outputTtlSeconds": -1}, "spec.outputTtlSeconds"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"keySecretRef": {"nam": "x"}}, "spec.keySecretRef.nam: unknown field; did you mean"),
        ({"promt": "x"}, "spec.promt: unknown field; did you mean 'prompt'?"),
        ({"num_frames": 3}, "spec.num_frames: unknown field; did you mean 'numFrames'?"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_spec_is_refused_with_its_path(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as refusal:
        a_spec(**fields)
    assert message in str(refusal.value)


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(ContractError) as refusal:
        a_spec(width=1, seed=-1, fps="8")
    assert len(str(refusal.value).splitlines()) == 3


def test_fields_that_do_not_change_the_video_do_not_change_its_hash() -> None:
    plain = a_spec()
    ttls = {"ttlSecondsAfterFinished": 5, "outputTtlSeconds": 5}
    others = a_spec(suspend=True, trackId="t", webhook="http://a/b", **ttls)
    assert others.request_hash == plain.request_hash


@pytest.mark.parametrize(
    "fields",
    [{"prompt": "q"}, {"seed": 1}, {"width": 128}, {"enhancePrompt": False}, {"fps": 9}, IMAGES],
    ids=str,
)
def test_a_request_field_changes_the_hash(fields: dict[str, Any]) -> None:
    assert a_spec(**fields).request_hash != a_spec().request_hash


def test_a_field_of_a_later_version_leaves_the_hash_of_who_does_not_use_it() -> None:
    image = {"initImage": "https://a/b.png"}
    plain = a_spec(**image).request_hash
    assert plain == a_spec(**image, mode="Auto").request_hash
    assert plain == "a62441a7de671036b2382cdacf48e83a4ba60b564775d6380746e70b9302c2e7"
    others = ({"mode": "FirstFrame"}, {"mode": "Restyle"}, {"endImage": "https://a/c.png"})
    assert len({plain, *(a_spec(**image, **other).request_hash for other in others)}) == 4


def test_the_whole_hash_is_over_every_field_that_is_not_its_default() -> None:
    plain = a_spec()
    assert a_spec(suspend=False).whole_hash == plain.whole_hash
    assert plain.whole_hash == hash_of({"modelId": "m", "prompt": "p"}), (
        "whatever a later version adds"
    )
    assert a_spec(trackId="t").whole_hash != plain.whole_hash


def test_the_request_fields_are_fields_of_the_spec() -> None:
    assert set(REQUEST_FIELDS) <= set(TextToVideoJobSpec.model_fields)


def test_metadata_of_the_cluster_is_carried_along_unread() -> None:
    resource = a_resource(name="a" * 253, namespace="n" * 63)
    assert resource.metadata.name == "a" * 253
