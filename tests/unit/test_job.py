"""The Job that a resource becomes."""

import json
import re
from typing import Any

import pytest
from t2v_operator.core.job import build_job
from t2v_operator.core.names import OUTPUT_URL_ANNOTATION, job_name, label_value, stable_id
from t2v_operator.core.plan import read_plan

from tests.unit.builders import a_config, a_config_with_a_store, a_job, a_resource

LABEL = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def test_the_pod_may_do_nothing_but_make_a_video() -> None:
    config = a_config(resources={"gpus": 1})
    pod = build_job(a_job(config), config)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_model_for_the_cpu_asks_for_no_gpu() -> None:
    (container,) = build_job(a_job(), a_config())["spec"]["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


def test_the_runner_gets_the_whole_request_and_the_profile() -> None:
    job = a_job(prompt='a "quoted"\nline 🔴', seed=5)
    (container,) = build_job(job, a_config())["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert json.loads(environment["T2V_REQUEST"])["prompt"] == 'a "quoted"\nline 🔴'
    assert json.loads(environment["T2V_MODEL"])["id"] == "tiny-shapes"
    assert environment["T2V_OUTPUT_DIR"].endswith(
        f"/default/{job.request.digest(job.profile.revision)}"
    )


def test_another_attempt_is_not_made_where_it_cannot_help() -> None:
    rules = build_job(a_job(), a_config())["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["values"] == [2, 3, 4, 6]
    assert rules[0]["action"] == "FailJob"
    assert rules[1]["action"] == "Ignore"


RESTARTED = {"action": "Restart", "exitCodes": {"operator": "In", "values": [5]}}


@pytest.mark.parametrize(
    ("spec", "policy", "retries", "rules"),
    [
        pytest.param({}, {}, "3", [RESTARTED], id="by default"),
        pytest.param({"backoffLimit": 0}, {}, "0", None, id="no retries at all"),
        pytest.param({}, {"retriesInPod": 0}, "0", None, id="an earlier Kubernetes"),
    ],
)
def test_where_storage_or_network_fails_the_runner_is_started_again_in_its_pod(
    spec: dict[str, Any], policy: dict[str, Any], retries: str, rules: Any
) -> None:
    job = build_job(a_job(**spec), a_config_with_a_store(jobs=policy))
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert pod["restartPolicy"] == "Never"
    assert container.get("restartPolicyRules") == rules
    assert environment["T2V_RETRIES"] == retries


def test_on_a_volume_nothing_is_left_behind_to_go_on_with() -> None:
    (container,) = build_job(a_job(), a_config())["spec"]["template"]["spec"]["containers"]
    assert "restartPolicyRules" not in container


def test_what_a_kubernetes_user_sets_reaches_the_job() -> None:
    spec = build_job(
        a_job(
            backoffLimit=0,
            activeDeadlineSeconds=9,
            priorityClassName="high",
        ),
        a_config(),
    )["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 9)
    assert spec["template"]["spec"]["priorityClassName"] == "high"


@pytest.mark.parametrize(
    "name", ["a", "red-circle", "a" * 253, "a." * 126 + "a", "b" * 51 + ".-x".replace("-", "")]
)
def test_names_of_any_length_give_valid_names(name: str) -> None:
    resource = a_resource(name=name)
    assert SUBDOMAIN.match(job_name(resource))
    assert LABEL.match(job_name(resource))
    assert LABEL.match(label_value(name))


def test_long_names_that_begin_alike_get_jobs_of_their_own() -> None:
    one, other = (a_resource(name="a" * 200 + end) for end in "xy")
    assert job_name(one) != job_name(other)


def test_a_changed_request_gets_a_job_of_its_own() -> None:
    assert job_name(a_resource()) != job_name(a_resource(prompt="a blue circle"))
    assert job_name(a_resource()) == job_name(a_resource(trackId="x"))


def test_the_id_is_exact_in_javascript() -> None:
    assert 0 <= stable_id("some-uid") < 2**53
    assert stable_id("some-uid") == stable_id("some-uid")


def test_a_changed_model_makes_its_videos_elsewhere() -> None:
    """Or a new video would take the place of the one that an older resource's URL leads to."""
    places = set()
    for revision in ("one", "two"):
        source = {"hub": "owner/name", "revision": revision}
        manifest = build_job(a_job(a_config(source=source), seed=1), a_config(source=source))
        places.add(manifest["metadata"]["annotations"][OUTPUT_URL_ANNOTATION])
    assert len(places) == 2


def test_a_job_s_plan_names_both_sources_of_its_model() -> None:
    adapter = {"hub": "owner/motion", "revision": "v1"}
    config = a_config(motionAdapter=adapter)
    plan = read_plan(build_job(a_job(config), config))
    assert plan
    assert plan.model_revision == "path:tiny-shapes+v1"
    assert a_job(config).profile.revision == plan.model_revision


def test_equal_requests_have_equal_places() -> None:
    one, other = (
        build_job(a_job(seed=1, trackId=track), a_config())["metadata"]["annotations"]
        for track in "xy"
    )
    assert one[OUTPUT_URL_ANNOTATION] == other[OUTPUT_URL_ANNOTATION]


@pytest.mark.parametrize(
    ("disk", "request_", "limit"),
    [(None, "0", "50Gi"), ("80Gi", "80Gi", "80Gi")],
    ids=["none named", "named by the model"],
)
def test_a_runner_that_fills_the_disk_is_stopped_before_the_node_is_full(
    disk: str | None, request_: str, limit: str
) -> None:
    config = a_config(resources={"ephemeralStorage": disk})
    pod = build_job(a_job(config), config)["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["ephemeral-storage"] == request_
    assert resources["limits"]["ephemeral-storage"] == limit
    assert {"name": "scratch", "emptyDir": {"sizeLimit": limit}} in pod["volumes"]


def test_several_gpus_share_memory_to_speak_by() -> None:
    job = a_job(a_config(family="Wan", resources={"gpus": 2}), scheduler="EulerDiscreteScheduler")
    pod = build_job(job, a_config())["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory"}} in pod["volumes"]
    mount = {"name": "shared-memory", "mountPath": "/dev/shm"}
    assert mount in pod["containers"][0]["volumeMounts"]


def test_the_job_does_not_remove_itself_before_its_result_is_written_down() -> None:
    spec = build_job(a_job(ttlSecondsAfterFinished=0), a_config())["spec"]
    assert "ttlSecondsAfterFinished" not in spec


@pytest.mark.parametrize(
    ("policy", "minutes"),
    [({}, "10"), ({"checkpointEveryMinutes": 0.5}, "0.5"), ({"checkpointEveryMinutes": 0}, "0")],
    ids=str,
)
def test_the_runner_is_told_how_often_to_keep_what_it_has(
    policy: dict[str, Any], minutes: str
) -> None:
    (container,) = build_job(a_job(), a_config_with_a_store(jobs=policy))["spec"]["template"][
        "spec"
    ]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["T2V_CHECKPOINT_MINUTES"] == minutes


def test_a_pod_has_longer_to_end_than_the_runner_takes() -> None:
    pod = build_job(a_job(), a_config())["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 15
