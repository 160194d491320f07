"""A VideoModel's spec: a profile without a name, and what fetches it."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.profile import ModelProfile
from t2v_api.video_model import SPEC_RULES, VideoModelSpec
from t2v_operator.config import load_config

COMMIT = "c" * 40
DESCRIPTION = {
    name: value
    for name, value in load_config(None).models[0].document().items()
    if name not in ("id", "source")
}


def a_spec(**spec: Any) -> VideoModelSpec:
    hub = {"hub": "owner/name", "revision": "main"}
    return VideoModelSpec.parse(DESCRIPTION | {"source": hub} | spec)


def test_its_profile_is_the_one_that_the_configuration_would_have() -> None:
    profile = a_spec().profile("tiny")
    document = DESCRIPTION | {"id": "tiny", "source": {"hub": "owner/name", "revision": "main"}}
    assert profile == ModelProfile.parse(document)


def test_what_was_fetched_takes_the_place_of_the_branch_in_both_sources() -> None:
    spec = a_spec(motionAdapter={"hub": "owner/motion", "revision": "v1"})
    assert spec.sources == "owner/name@main+owner/motion@v1"
    profile = spec.profile("tiny", COMMIT, "d" * 40)
    assert profile.revision == f"{COMMIT}+{'d' * 40}"
    assert profile.is_pinned


def test_an_image_is_named_as_it_is_written_and_has_no_commit() -> None:
    image = f"registry.example.com/shapes@sha256:{'a' * 64}"
    spec = a_spec(source={"image": image}, motionAdapter={"hub": "owner/motion", "revision": "v1"})
    assert spec.sources == f"{image}+owner/motion@v1"
    profile = spec.profile("tiny", COMMIT, "d" * 40)
    assert profile.revision == f"sha256:{'a' * 64}+{'d' * 40}"
    assert ModelProfile.parse_json(profile.json_line()) == profile


@pytest.mark.parametrize(
    ("spec", "told", "rule"),
    [
        ({"source": {"path": "a", "hub": "b/c"}}, "exactly one of", 0),
        ({"source": {}}, "exactly one of", 0),
        ({"source": {"hub": "b/c"}}, "needs a 'revision'", 1),
        ({"source": {"path": "a"}, "prefetch": {}}, "a folder is there already", 2),
        ({"source": {"image": "a", "hub": "b/c", "revision": "1"}}, "exactly one of", 0),
        ({"source": {"image": "a"}, "prefetch": {}}, "an image is pulled by the node", 2),
        ({"tokenSecretRef": {"name": "hub"}}, "never has the token", 3),
        ({"source": {"image": "a", "revision": "b"}}, "'revision' goes with 'hub'", 4),
        ({"source": {"path": "a", "pullPolicy": "Never"}}, "only an image is pulled", 5),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_the_words_of_the_api_server(
    spec: dict[str, Any], told: str, rule: int
) -> None:
    with pytest.raises(ContractError, match=told):
        a_spec(**spec)
    assert told in SPEC_RULES[rule]["message"]
