"""A wrong configuration stops the operator with the path of the value."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.base import ContractError
from t2v_api.start import Start
from t2v_operator.config import ConfigurationError, load_config

from tests.unit.builders import a_config, a_config_that_asks


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_documented_default_is_valid() -> None:
    assert "tiny-shapes" in load_config(None).catalogue


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": []}, "pool: unknown field; did you mean 'pools'?"),
        ({"models": []}, "models: "),
        ({"runner": {"image": 7}}, "runner.image: Input should be a valid string, not 7"),
        ({"pools": [{"name": "a"}, {"name": "a"}]}, "pools: a stands twice"),
        ({"pools": [{"name": "GPU pool!"}]}, "pools.0.name: "),
        ({"pools": [{"name": "a", "queueName": "q"}]}, "pools: a names a queue; set kueue.enabled"),
        (
            {"pools": [{"name": "a", "keys": "required"}]},
            "pools: a has keys: required; set apiKeys.enabled, or keys: optional",
        ),
        ({"pools": [{"name": "a", "keys": "yes"}]}, "pools.0.keys: "),
        ({"pools": [{"name": "a", "managedBy": "me"}]}, "pools.0.managedBy: "),
        ({"pools": [{"name": "a", "gpuMemory": "80 GB"}]}, "pools.0.gpuMemory: "),
        (
            {"pools": [{"name": "a", "gpuMemory": "80"}]},
            "pools.0.gpuMemory: 80 is less than the 0.5 GiB that CUDA itself needs; write it like",
        ),
        ({"jobs": {"startDeadlineSeconds": 0}}, "jobs.startDeadlineSeconds: "),
        ({"jobs": {"nodeLostSeconds": -1}}, "jobs.nodeLostSeconds: "),
        ({"pools": [{"name": "a", "tolerations": [{"at": date(2026, 1, 1)}]}]}, "date"),
        (
            {"podTemplatePatch": {"spec": {"containers": [{"$patch": "delete", "name": "x"}]}}},
            "podTemplatePatch.spec.containers[0].$patch: directives are not known",
        ),
        (
            {"podTemplatePatch": {"spec": {"volumes": {}}}},
            "podTemplatePatch.spec.volumes: expected a list whose items have a 'name'",
        ),
        (
            {"promptEnhancement": {"url": "https://key:x@llm.example.com/v1", "model": "m"}},
            "promptEnhancement.url: ",
        ),
        (
            {
                "promptEnhancement": {
                    "url": "https://llm.example.com/v1",
                    "model": "m",
                    "parameters": {"stream": True},
                }
            },
            "promptEnhancement.parameters: stream: the operator sets that itself; leave it out",
        ),
        (None, "Input should be an object"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(tmp_path: Path, change: Any, message: str) -> None:
    document = load_config(None).document() | change if change is not None else [1]
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        ("resources", "memory", "4 gigs", "models.0.resources.memory: "),
        ("defaults", "numFrames", 33, "models.0: defaults.numFrames is 33, above the limit of 32"),
        ("limits", "sizeMultiple", 48, "defaults.width is 64; this model needs a multiple of 48"),
        ("limits", "maxInferenceSteps", 24, "defaults.numInferenceSteps is 25, above the limit"),
        ("defaults", "guidanceScale2", 3.0, "AnimateDiff models have no second expert: leave it"),
    ],
)
def test_a_model_that_no_job_can_be_made_for_is_refused(
    tmp_path: Path, section: str, field: str, value: Any, message: str
) -> None:
    document = load_config(None).document()
    document["models"][0][section][field] = value
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert message in str(refusal.value)


@pytest.mark.parametrize("family", ["Wan", "LTX", "LTX2"])
def test_some_families_share_a_video_among_gpus(tmp_path: Path, family: str) -> None:
    document = a_config(family=family, resources={"gpus": 4}).document()
    assert load_config(written(tmp_path, document)).models[0].resources.gpus == 4


@pytest.mark.parametrize("family", ["AnimateDiff", "CogVideoX", "HunyuanVideo", "Mochi"])
def test_a_family_that_cannot_share_a_video_has_one_gpu(tmp_path: Path, family: str) -> None:
    document = a_config(family=family).document()
    document["models"][0]["resources"] = {"gpus": 2}
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    expected = f"resources.gpus is 2; {family} models cannot share a video among GPUs: 1"
    assert f"models.0: {expected}" in str(refusal.value)


@pytest.mark.parametrize(
    ("family", "starts", "message"),
    [
        ("AnimateDiff", ["FirstFrame"], "models.0: starts: FirstFrame is none of what AnimateDiff"),
        ("Wan", ["Text", "LastFrame"], "LastFrame is none of what Wan models start from: Text, Fi"),
        ("Mochi", ["Video"], "Video is none of what Mochi models start from: Text"),
        ("Wan", ["Image"], "models.0.starts.0: "),
        ("Wan", [], "models.0.starts: "),
    ],
)
def test_a_model_starts_from_what_its_family_can(
    tmp_path: Path, family: str, starts: list[str], message: str
) -> None:
    document = a_config(family=family).document()
    document["models"][0]["starts"] = starts
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("family", "starts"),
    [
        ("Mochi", (Start.TEXT,)),
        ("AnimateDiff", (Start.TEXT, Start.VIDEO)),
        ("Wan", (Start.TEXT, Start.VIDEO)),
        ("LTX", tuple(Start)),
    ],
)
def test_a_model_starts_as_most_of_its_family_unless_it_says_otherwise(
    family: str, starts: tuple[Start, ...]
) -> None:
    assert a_config(family=family).models[0].all_starts == starts


@pytest.mark.parametrize(
    ("limits", "frames", "message"),
    [
        ({}, 16, "defaults.numFrames is 16; this model needs 4n+1, try 13"),
        ({"framesMultiple": 4}, 17, "Wan models cannot draw: those draw 4n+1"),
        ({"framesMultiple": 2, "framesOffset": 1}, 17, "Wan models cannot draw"),
        ({"framesMultiple": 8, "framesOffset": 1}, 13, "this model needs 8n+1, try 9"),
        ({"framesMultiple": 8, "framesOffset": 1}, 17, ""),
        ({}, 17, ""),
    ],
    ids=str,
)
def test_a_model_draws_what_its_family_draws(
    tmp_path: Path, limits: dict[str, int], frames: int, message: str
) -> None:
    document = load_config(None).document()
    model = document["models"][0]
    model |= {"family": "Wan", "limits": {"maxFrames": 81} | limits}
    model["defaults"]["numFrames"] = frames
    file = written(tmp_path, document)
    if message:
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            load_config(file)
    else:
        assert load_config(file).models[0].defaults.num_frames == frames


def test_a_hub_model_needs_a_revision(tmp_path: Path) -> None:
    document = load_config(None).document()
    document["models"][0]["source"] = {"hub": "owner/name"}
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert "models.0.source: 'hub' needs a 'revision'" in str(refusal.value)


HUB = {"hub": "owner/motion", "revision": "a" * 40}


@pytest.mark.parametrize(
    ("family", "adapter", "message"),
    [
        ("Wan", HUB, "motionAdapter: Wan models have none: leave it out"),
        ("AnimateDiff", {"hub": "owner/motion"}, "motionAdapter: 'hub' needs a 'revision'"),
        ("AnimateDiff", {}, "motionAdapter: give exactly one of 'path', 'hub' and 'image'"),
    ],
)
def test_a_motion_adapter_is_animatediff_s_and_a_source(
    tmp_path: Path, family: str, adapter: dict[str, str], message: str
) -> None:
    document = load_config(None).document()
    document["models"][0] |= {"family": family, "motionAdapter": adapter}
    document["models"][0]["defaults"]["numFrames"] = 17
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("adapter", "revision", "is_pinned"),
    [
        (None, "path:tiny-shapes", True),
        (HUB, f"path:tiny-shapes+{'a' * 40}", True),
        (HUB | {"revision": "main"}, "path:tiny-shapes+main", False),
    ],
)
def test_both_sources_of_a_model_name_its_weights(
    tmp_path: Path, adapter: dict[str, str] | None, revision: str, is_pinned: bool
) -> None:
    document = load_config(None).document()
    document["models"][0] |= {"motionAdapter": adapter} if adapter else {}
    profile = load_config(written(tmp_path, document)).models[0]
    assert (profile.revision, profile.is_pinned) == (revision, is_pinned)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        ({"kind": "claim"}, "modelCache: kind claim goes with a claimName"),
        ({"claimName": "models"}, "modelCache: kind claim goes with a claimName"),
        ({"kind": "hostPath"}, "modelCache: kind hostPath goes with a path"),
        ({"kind": "claim", "claimName": "m", "path": "/models"}, "modelCache: kind hostPath goes"),
        ({"kind": "hostPath", "path": "models"}, "modelCache.path: String should match"),
        ({"kind": "hostPath", "path": "/"}, "modelCache.path: String should match"),
        ({"kind": "hostPath", "path": "/var/../etc"}, "modelCache.path: String should match"),
        ({"size": "1Gi"}, "modelCache: size is 1Gi; without a cache there is nothing to limit"),
    ],
    ids=str,
)
def test_a_model_cache_that_cannot_be_is_refused(
    tmp_path: Path, cache: dict[str, Any], message: str
) -> None:
    document = load_config(None).document() | {"modelCache": cache}
    with pytest.raises(ConfigurationError) as refusal:
        load_config(written(tmp_path, document))
    assert message in str(refusal.value)


def test_a_model_that_asks_an_endpoint_needs_one() -> None:
    with pytest.raises(ContractError) as refusal:
        a_config(promptEnhancement="Endpoint")
    assert "tiny-shapes has promptEnhancement Endpoint; set" in str(refusal.value)
    assert a_config_that_asks().prompt_enhancement
