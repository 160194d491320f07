"""What a platform team adds to the pods."""

from typing import Any

from t2v_operator.config import OperatorConfig
from t2v_operator.core.job import build_job

from tests.unit.builders import a_config, a_job


def pod_with(patch: dict[str, object]) -> Any:
    document = a_config().document() | {"podTemplatePatch": patch}
    return build_job(a_job(), OperatorConfig.parse(document))["spec"]["template"]


def test_named_items_are_merged_and_the_rest_stays() -> None:
    plain = pod_with({})
    template = pod_with(
        {
            "metadata": {"labels": {"team": "video"}},
            "spec": {
                "dnsPolicy": "None",
                "enableServiceLinks": None,
                "containers": [
                    {"name": "runner", "env": [{"name": "HOME", "value": "/elsewhere"}]},
                    {"name": "sidecar", "image": "sidecar:1"},
                ],
                "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "m"}}],
            },
        }
    )
    assert template["metadata"]["labels"]["team"] == "video"
    assert "textto.video/job" in template["metadata"]["labels"]
    assert template["spec"]["dnsPolicy"] == "None"
    assert "enableServiceLinks" not in template["spec"]
    runner, sidecar = template["spec"]["containers"]
    assert sidecar == {"name": "sidecar", "image": "sidecar:1"}
    before = plain["spec"]["containers"][0]
    assert {**runner, "env": None} == {**before, "env": None}
    changed = [each for each in runner["env"] if each not in before["env"]]
    assert changed == [{"name": "HOME", "value": "/elsewhere"}]
    assert [each["name"] for each in template["spec"]["volumes"]] == ["output", "scratch", "models"]


def test_other_lists_are_replaced() -> None:
    toleration = {"key": "gpu", "operator": "Exists"}
    assert pod_with({"spec": {"tolerations": [toleration]}})["spec"]["tolerations"] == [toleration]
