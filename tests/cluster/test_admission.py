"""Wrong manifests: refused by the API server, or failed with a reason before any pod runs."""

from typing import Any

import pytest
from harness.errors import CommandError
from installation import Workspace, a_manifest

from tests.cluster.test_models import a_model

IMAGE = {"initImage": "https://example.com/a.png"}
VIDEO = {"initVideo": "https://example.com/a.mp4"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "spec.prompt"),
    ({"prompt": "   "}, "spec.prompt"),
    ({"prompt": "x" * 4097}, "spec.prompt"),
    ({"prompt": "x" * 5000}, "spec.prompt"),
    ({"prompt": 7}, "spec.prompt"),
    ({"prompt": None}, "spec.prompt"),
    ({"negativePrompt": "x" * 4097}, "spec.negativePrompt"),
    ({"modelId": ""}, "spec.modelId"),
    ({"modelId": None}, "spec.modelId"),
    ({"modelId": "a/b"}, "spec.modelId"),
    ({"width": 56}, "spec.width"),
    ({"width": 513}, "spec.width"),
    ({"width": 4104}, "spec.width"),
    ({"width": "64"}, "spec.width"),
    ({"width": 64.5}, "spec.width"),
    ({"height": 63}, "spec.height"),
    ({"height": 8192}, "spec.height"),
    ({"scheduler": "DDIM"}, "spec.scheduler"),
    ({"scheduler": "ddimscheduler"}, "spec.scheduler"),
    ({"schedulerPolicy": "Loose"}, "spec.schedulerPolicy"),
    ({"numInferenceSteps": 0}, "spec.numInferenceSteps"),
    ({"numInferenceSteps": 201}, "spec.numInferenceSteps"),
    ({"numInferenceSteps": "25"}, "spec.numInferenceSteps"),
    ({"guidanceScale": 0.99}, "spec.guidanceScale"),
    ({"guidanceScale": 20.01}, "spec.guidanceScale"),
    ({"enhancePrompt": "yes"}, "spec.enhancePrompt"),
    ({"seed": -1}, "spec.seed"),
    ({"seed": 1.5}, "spec.seed"),
    ({"strength": 0.5}, "'strength' goes with an 'initImage' or 'initVideo'"),
    ({**IMAGE, "strength": 0}, "spec.strength"),
    ({**IMAGE, "strength": 1.01}, "spec.strength"),
    ({**IMAGE, "initVideo": "https://example.com/a.mp4"}, "not both"),
    ({"initImage": "ftp://example.com/a.png"}, "spec.initImage"),
    ({"initVideo": "somewhere"}, "spec.initVideo"),
    ({"endImage": "somewhere"}, "spec.endImage"),
    ({**VIDEO, "endImage": IMAGE["initImage"]}, "'endImage' goes with an 'initImage'"),
    ({"mode": "Loose"}, "spec.mode"),
    ({"mode": "FirstFrame"}, "mode FirstFrame goes with an 'initImage'"),
    ({**VIDEO, "mode": "FirstFrame"}, "an 'initVideo' is always restyled"),
    ({"mode": "Restyle"}, "mode Restyle goes with an 'initImage' or 'initVideo'"),
    ({**IMAGE, "endImage": IMAGE["initImage"], "mode": "Restyle"}, "mode Restyle has no last"),
    ({"initVideo": "store://../other/a.mp4"}, "spec.initVideo"),
    ({"webhook": "no URL"}, "spec.webhook"),
    ({"webhook": "ftp://example.com"}, "spec.webhook"),
    ({"trackId": "x" * 257}, "spec.trackId"),
    ({"keySecretRef": {"name": "Not_A_Name"}}, "spec.keySecretRef.name"),
    ({"loadBalancer": "no"}, "spec.loadBalancer"),
    ({"numFrames": 0}, "spec.numFrames"),
    ({"fps": 61}, "spec.fps"),
    ({"loras": [{"source": "a"}, {"source": "a", "weight": 0.5}]}, "Duplicate value"),
    ({"loras": [{"source": "a", "weight": 5}]}, "spec.loras[0].weight"),
    ({"loras": [{"source": "https://example.com/a"}]}, "spec.loras[0].source"),
    ({"loras": [{"source": f"a{number}"} for number in range(9)]}, "spec.loras"),
    ({"pool": "Upper"}, "spec.pool"),
    ({"suspend": "true"}, "spec.suspend"),
    ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
    ({"backoffLimit": -1}, "spec.backoffLimit"),
    ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished"),
    ({"promt": "typo"}, 'unknown field "spec.promt"'),
]
FAILED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown-model": ({"modelId": "other"}, "ModelNotFound", "known: tiny-shapes"),
    "too-many-frames": ({"numFrames": 33}, "InvalidRequest", "numFrames is 33; this model draws"),
    "too-wide": ({"width": 1024}, "InvalidRequest", "width is 1024; this model draws at most 512"),
    "no-store": ({"initImage": "store://a.png"}, "InitMediaRefused", "a volume is none"),
    "unknown-lora": (
        {"loras": [{"source": "other"}]},
        "InvalidRequest",
        "can have tiny-shapes-bars",
    ),
    "unknown-pool": ({"pool": "other"}, "InvalidRequest", "pool 'other' is not configured"),
}
AT_THE_LIMITS: dict[str, Any] = {
    "prompt": "x" * 4096,
    "negativePrompt": "y" * 4096,
    "width": 64,
    "numInferenceSteps": 50,
    "guidanceScale": 20,
    "seed": 2**63 - 1,
    "trackId": "t" * 256,
    "suspend": True,
}


@pytest.mark.parametrize(("spec", "said"), REFUSED, ids=lambda value: str(value)[:60])
def test_the_api_server_refuses(workspace: Workspace, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError) as refusal:
        workspace.apply(a_manifest("wrong", **spec))
    assert said in str(refusal.value)


def test_what_only_the_operator_can_know_fails_before_any_pod(
    workspace: Workspace,
) -> None:
    workspace.apply(*(a_manifest(name, **spec) for name, (spec, _, _) in FAILED.items()))
    for name, (_, reason, said) in FAILED.items():
        status = workspace.wait_for_phase(name, "Failed", seconds=60)
        assert status["conditions"][0]["reason"] == reason
        assert said in status["message"]
        assert workspace.children("jobs", name) == []


def test_values_at_their_limits_are_taken(workspace: Workspace) -> None:
    workspace.apply(a_manifest("limits", **AT_THE_LIMITS))
    status = workspace.wait_for_phase("limits", "Suspended", seconds=60)
    assert status["observedGeneration"] == 1


DIGEST = f"registry.example.com/shapes@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"source": {"image": DIGEST, "path": "a"}}, "give exactly one of 'path', 'hub' and"),
        ({"source": {"image": DIGEST, "revision": "a"}}, "'revision' goes with 'hub'"),
        ({"source": {"path": "a", "pullPolicy": "Never"}}, "'pullPolicy' goes with 'image'"),
        ({"source": {"image": "https://example.com/a"}}, "spec.source.image"),
        ({"source": {"image": DIGEST}, "prefetch": {}}, "an image is pulled by the node"),
        ({"source": {"image": DIGEST, "pullPolicy": "Never"}, "prefetch": None}, ""),
    ],
    ids=["two sources", "a revision", "no image", "no reference", "a prefetch", "an image"],
)
def test_the_api_server_knows_what_a_model_may_come_from(
    workspace: Workspace, spec: dict[str, Any], said: str
) -> None:
    import yaml

    document = yaml.safe_dump(a_model("wrong", **{"prefetch": None, **spec}))
    command = ("apply", "--dry-run=server", "-f", "-")
    if not said:
        assert "(server dry run)" in workspace.cluster.kubectl(*command, stdin=document)
        return
    with pytest.raises(CommandError) as refusal:
        workspace.cluster.kubectl(*command, stdin=document)
    assert said in str(refusal.value)


def test_a_dry_run_checks_too(workspace: Workspace) -> None:
    import yaml

    good, bad = (yaml.safe_dump(a_manifest("dry", width=width)) for width in (64, 65))
    command = ("apply", "--dry-run=server", "-f", "-")
    assert "created (server dry run)" in workspace.kubectl(*command, stdin=good)
    with pytest.raises(CommandError, match=r"spec\.width"):
        workspace.kubectl(*command, stdin=bad)
