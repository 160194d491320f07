"""A model of which each node has a copy: who fetches, what is said, when it is ready."""

from typing import Any

import pytest
from t2v_api.reasons import ModelReason, Reason
from t2v_api.video_model import VideoModelStatus
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import CreateJob, DeleteJob, Refusal
from t2v_operator.core.models.decide import decide_model
from t2v_operator.core.models.filling import AT_ONCE
from t2v_operator.core.models.missing import Missed
from t2v_operator.core.models.nodes import observe_node
from t2v_operator.core.models.prefetch_job import prefetch_job
from t2v_operator.core.models.situation import ModelDecision

from tests.unit.model_observations import (
    COMMIT,
    OTHER_COMMIT,
    a_config_on_nodes,
    a_model,
    a_model_document,
    a_node,
    a_record,
    a_situation,
    ended,
    told,
)
from tests.unit.observations import START, a_failure, a_pod_document, text

GPU = {"resources": {"gpus": 1}}
PINNED = {"revision": COMMIT, **GPU}
BIG = 28_930_000_000


class World:
    """Nodes, and a VideoModel that is looked at again and again."""

    def __init__(self, *nodes: str, config: OperatorConfig | None = None, **model: Any) -> None:
        self.nodes = {name: a_node(name) for name in nodes}
        self.model = {**GPU, **model}
        self.config = config or a_config_on_nodes()
        self.status: VideoModelStatus | dict[str, Any] | None = None
        self.jobs: dict[str, dict[str, Any]] = {}
        """By the node that they fill."""
        self.pods: dict[str, dict[str, Any]] = {}
        self.decision = ModelDecision(None)
        self.now = 100.0
        self.missed: list[Missed] = []

    def look(self, progress: tuple[int, int] | None = None) -> VideoModelStatus:
        """Decide, and do what is decided."""
        decision = self.decision = decide_model(
            a_situation(
                a_model_document(status=self.status, **self.model),
                list(self.jobs.values()),
                list(self.pods.values()),
                progress,
                config=self.config,
                now=self.now,
                nodes=list(self.nodes.values()),
                missed=self.missed,
            )
        )
        for action in decision.actions:
            if isinstance(action, CreateJob):
                self._made(action.manifest)
            if isinstance(action, DeleteJob):
                gone = [node for node, job in self.jobs.items() if _name(job) == action.name]
                for node in gone:
                    del self.jobs[node]
                    self.pods.pop(node, None)
        assert decision.status
        self.status = decision.status
        return decision.status

    def _made(self, manifest: dict[str, Any]) -> None:
        uid, name = f"uid-of-{_name(manifest)}", node_of(manifest)
        manifest["metadata"] |= {"uid": uid, "creationTimestamp": text(START)}
        self.jobs[name] = {**manifest, "status": {}}

    def runs(self, node: str) -> None:
        uid = self.jobs[node]["metadata"]["uid"]
        self.pods[node] = a_pod_document(name=f"on-{node}", job_uid=uid, running=True)

    def ends(self, node: str, commit: str = COMMIT, **record: Any) -> None:
        self._end(node, "Complete", 0, a_record(commit=commit, **record))

    def fails(self, node: str, message: str = "no space left") -> None:
        self._end(node, "Failed", 3, a_failure(Reason.MODEL_NOT_LOADABLE, message))

    def _end(self, node: str, how: str, exit_code: int, message: str) -> None:
        job = self.jobs[node]
        job["status"] = {"conditions": ended(how)}
        uid = job["metadata"]["uid"]
        self.pods[node] = a_pod_document(
            name=f"on-{node}", job_uid=uid, exit_code=exit_code, message=message
        )

    def is_filled(self) -> VideoModelStatus:
        """Whatever fetches has ended well, as often as it takes."""
        for _ in range(20):
            status = self.look()
            for node in self.jobs:
                self.ends(node)
            if not self.jobs:
                return status
        raise AssertionError("it never ends")


def node_of(manifest: dict[str, Any]) -> str:
    """The one that a Job is for."""
    affinity = manifest["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    ((field,),) = (term["matchFields"] for term in required["nodeSelectorTerms"])
    assert (field["key"], field["operator"]) == ("metadata.name", "In")
    (name,) = field["values"]
    return str(name)


def _name(job: dict[str, Any]) -> str:
    return str(job["metadata"]["name"])


def said(status: VideoModelStatus) -> tuple[str, str]:
    """The reason, and the condition that holds."""
    (holds,) = (each for each in status.conditions if each.status == "True")
    return holds.reason, holds.type


READY = (ModelReason.AVAILABLE, "Ready")
FETCHING = (ModelReason.PREFETCHING, "Reconciling")


def having(status: VideoModelStatus) -> dict[str, bool]:
    return {node.name: node.ready for node in status.nodes}


def test_every_node_of_the_pools_gets_a_pinned_model_at_once() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.nodes["cpu"] = a_node("cpu", gpus=0)
    status = world.look()
    assert sorted(world.jobs) == ["gpu-1", "gpu-2"]
    assert said(status) == FETCHING
    assert having(status) == {"gpu-1": False, "gpu-2": False}
    assert status.message.startswith("on 0 of 2 nodes; gpu-1: the Job prefetch-")
    world.ends("gpu-1")
    status = world.look()
    assert said(status) == FETCHING, "not before all have it"
    assert having(status) == {"gpu-1": True, "gpu-2": False}
    assert (status.percent, [each.ready for each in status.pools]) == (50, [False])
    world.ends("gpu-2")
    status = world.look()
    assert said(status) == READY
    assert status.message == f"ready at commit {COMMIT[:12]} on 2 of 2 nodes"
    assert (status.commit, status.percent, status.bytes) == (COMMIT, 100, BIG)
    assert [(each.name, each.ready, each.nodes) for each in status.pools] == [("default", True, 2)]


def test_what_is_known_to_be_there_needs_no_job_any_more() -> None:
    world = World("gpu-1", **PINNED)
    world.look()
    world.ends("gpu-1")
    status = world.look()
    assert (said(status), list(world.jobs)) == (READY, ["gpu-1"]), "first it is written down"
    assert world.decision.again_seconds == 1, "an own status is no news"
    assert world.look() == status
    assert world.jobs == {}
    assert world.look() == status
    assert (world.decision.actions, world.decision.again_seconds) == ((), None)


def test_one_node_alone_finds_out_what_a_branch_names_and_the_others_get_just_that() -> None:
    world = World("gpu-1", "gpu-2", "gpu-3")
    status = world.look()
    assert list(world.jobs) == ["gpu-1"]
    assert "gpu-2: its turn comes" in status.message
    assert status.eta_seconds is None
    world.ends("gpu-1")
    world.look()
    assert sorted(world.jobs) == ["gpu-1", "gpu-2", "gpu-3"]
    (container,) = world.jobs["gpu-2"]["spec"]["template"]["spec"]["containers"]
    (profile,) = (each["value"] for each in container["env"] if each["name"] == "T2V_MODEL")
    assert f'"revision":"{COMMIT}"' in profile.replace(" ", "")
    assert world.is_filled().commit == COMMIT


def test_a_node_that_comes_gets_the_same_commit_while_videos_go_on() -> None:
    world = World("gpu-1")
    world.is_filled()
    world.nodes["gpu-0"] = a_node("gpu-0")
    status = world.look()
    assert said(status) == READY
    assert having(status) == {"gpu-0": False, "gpu-1": True}
    assert status.message.startswith(f"ready at commit {COMMIT[:12]} on 1 of 2 nodes; gpu-0: the ")
    assert list(world.jobs) == ["gpu-0"]
    (container,) = world.jobs["gpu-0"]["spec"]["template"]["spec"]["containers"]
    assert any(COMMIT in each.get("value", "") for each in container["env"])
    assert world.is_filled().message.endswith("on 2 of 2 nodes")


def test_a_node_that_goes_is_named_no_more_and_its_job_goes_with_it() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.look()
    world.ends("gpu-1")
    del world.nodes["gpu-2"]
    status = world.look()
    assert (said(status), having(status)) == (READY, {"gpu-1": True})
    assert "gpu-2" not in world.jobs


def test_another_node_of_the_same_name_has_another_disk() -> None:
    world = World("gpu-1", **PINNED)
    world.is_filled()
    world.nodes["gpu-1"] = a_node("gpu-1", uid="another")
    status = world.look()
    assert (having(status), list(world.jobs)) == ({"gpu-1": False}, ["gpu-1"])
    assert said(status) == FETCHING, "nobody has it"


@pytest.mark.parametrize(
    "change", [{"is_ready": False}, {"is_cordoned": True}], ids=["not ready", "cordoned"]
)
def test_a_node_that_takes_no_pods_is_not_waited_for_and_keeps_what_it_has(
    change: dict[str, Any],
) -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.nodes["gpu-2"] = a_node("gpu-2", **change)
    status = world.is_filled()
    assert (said(status), having(status)) == (READY, {"gpu-1": True, "gpu-2": False})
    world.nodes = {"gpu-1": a_node("gpu-1", **change), "gpu-2": a_node("gpu-2")}
    status = world.is_filled()
    assert having(status) == {"gpu-1": True, "gpu-2": True}


def test_a_node_that_is_drained_while_it_fetches_keeps_nobody_waiting() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.look()
    world.ends("gpu-1")
    world.nodes["gpu-2"] = a_node("gpu-2", is_cordoned=True)
    status = world.look()
    assert (said(status), having(status)) == (READY, {"gpu-1": True, "gpu-2": False})


def test_a_fetch_that_goes_is_not_broken_off_by_a_node_that_is_away_for_a_moment() -> None:
    world = World("gpu-1", **PINNED)
    world.look()
    job = world.jobs["gpu-1"]
    world.nodes["gpu-1"] = a_node("gpu-1", is_ready=False)
    assert said(world.look()) == FETCHING
    assert world.jobs["gpu-1"] is job


def test_so_many_fetch_at_a_time_and_no_more() -> None:
    names = [f"gpu-{number:02}" for number in range(AT_ONCE + 3)]
    world = World(*names, **PINNED)
    world.look()
    assert sorted(world.jobs) == names[:AT_ONCE]
    world.ends(names[0])
    status = world.look()
    assert status.message.endswith(f"and {AT_ONCE + 2 - 3} more")
    world.look()
    assert sorted(world.jobs) == names[1 : AT_ONCE + 1]
    assert len(world.is_filled().nodes) == AT_ONCE + 3


def test_who_found_out_another_commit_gets_the_one_that_the_others_have() -> None:
    world = World("gpu-1", "gpu-2")
    world.look()
    world.nodes["gpu-1"] = a_node("gpu-1", is_ready=False)
    world.look()
    assert sorted(world.jobs) == ["gpu-1", "gpu-2"], "the first may never come back"
    world.ends("gpu-2", COMMIT)
    world.look()
    world.ends("gpu-1", OTHER_COMMIT)
    status = world.look()
    assert (status.commit, having(status)) == (COMMIT, {"gpu-1": False, "gpu-2": True})
    assert f"gpu-1: it fetched commit {OTHER_COMMIT[:12]}" in status.message
    assert "gpu-1" not in world.jobs
    world.nodes["gpu-1"] = a_node("gpu-1")
    world.look()
    assert any(
        COMMIT in each.get("value", "")
        for each in world.jobs["gpu-1"]["spec"]["template"]["spec"]["containers"][0]["env"]
    )


def test_how_far_all_of_them_are() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.look()
    world.ends("gpu-1")
    world.runs("gpu-2")
    status = world.look(progress=(BIG // 2, BIG))
    assert (status.percent, status.eta_seconds) == (75, 90.0)
    assert "gpu-2: 50 % of 28.93 GB is there" in status.message


def test_a_node_that_cannot_have_it_is_told_and_can_be_let_alone() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.look()
    world.ends("gpu-1")
    world.fails("gpu-2")
    status = world.look()
    assert said(status) == (ModelReason.PREFETCH_FAILED, "Stalled")
    assert status.message.startswith("on 1 of 2 nodes; gpu-2: no space left; to try again,")
    world.nodes["gpu-2"] = a_node("gpu-2", is_cordoned=True)
    assert said(world.look()) == READY
    world.nodes["gpu-1"] = a_node("gpu-1", uid="another", is_cordoned=True)
    assert said(world.look()) == (ModelReason.PREFETCH_FAILED, "Stalled"), "nobody has it"


def test_a_new_node_that_cannot_have_it_takes_nothing_from_the_others() -> None:
    world = World("gpu-1", **PINNED)
    world.is_filled()
    world.nodes["gpu-2"] = a_node("gpu-2")
    world.look()
    world.fails("gpu-2")
    status = world.look()
    assert said(status) == READY
    assert "gpu-2: no space left" in status.message


def test_what_fails_everywhere_is_not_tried_everywhere() -> None:
    names = [f"gpu-{number:02}" for number in range(AT_ONCE + 3)]
    world = World(*names)
    for _ in range(AT_ONCE + 3):
        world.look()
        for node in world.jobs:
            world.fails(node, "401: accept the licence")
    assert sorted(world.jobs) == names[:AT_ONCE]
    assert said(world.look()) == (ModelReason.PREFETCH_FAILED, "Stalled")


def test_without_a_node_a_commit_is_ready_and_a_branch_waits_for_one() -> None:
    status = World(**PINNED).look()
    assert said(status) == READY
    assert status.commit == COMMIT
    assert "its first video waits for that" in status.message
    waits = World().look()
    assert said(waits) == (ModelReason.NO_NODE, "Reconciling")
    assert "find out what owner/name@main names" in waits.message


def test_another_revision_is_fetched_by_all_and_is_not_ready_before() -> None:
    world = World("gpu-1", "gpu-2", **PINNED)
    world.is_filled()
    world.model |= {"revision": OTHER_COMMIT, "generation": 2}
    status = world.look()
    assert said(status) == FETCHING
    assert having(status) == {"gpu-1": False, "gpu-2": False}
    assert len(world.jobs) == 2


def test_what_else_is_edited_fetches_nothing() -> None:
    world = World("gpu-1", **PINNED)
    world.is_filled()
    world.model |= {"description": "for people", "generation": 2}
    assert said(world.look()) == READY
    assert world.decision.actions == ()


def test_a_pool_more_leaves_the_model_ready_on_the_others() -> None:
    pools = [
        {"name": "a", "nodeSelector": {"gpu": "a"}},
        {"name": "b", "nodeSelector": {"gpu": "b"}},
    ]
    world = World(config=a_config_on_nodes(pools=pools), **PINNED, prefetch={"pools": ["a"]})
    world.nodes = {name: a_node(name, labels={"gpu": name}) for name in "ab"}
    assert having(world.is_filled()) == {"a": True}
    world.model |= {"prefetch": {"pools": ["a", "b"]}, "generation": 2}
    status = world.look()
    assert (said(status), having(status)) == (READY, {"a": True, "b": False})
    pod = world.jobs["b"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"gpu": "b"}
    assert [(each.name, each.ready) for each in status.pools] == [("a", True), ("b", False)]


def test_another_folder_has_to_be_filled() -> None:
    world = World("gpu-1", **PINNED)
    world.is_filled()
    cache = {"kind": "hostPath", "path": "/fast/models"}
    world.config = a_config_on_nodes(modelCache=cache)
    assert said(world.look()) == FETCHING


def test_what_an_earlier_look_told_of_one_cache_for_all_is_not_believed_of_nodes() -> None:
    world = World("gpu-1", **PINNED)
    fetched = {"sources": f"owner/name@{COMMIT}", "cache": "claim/models", "commit": COMMIT}
    world.status = told(True, **fetched)
    assert said(world.look()) == FETCHING


def test_a_job_that_is_refused_takes_nothing_from_the_nodes_that_have_it() -> None:
    world = World("gpu-1", **PINNED)
    world.is_filled()
    world.nodes["gpu-2"] = a_node("gpu-2")
    situation = a_situation(
        a_model_document(status=world.status, **world.model),
        config=world.config,
        nodes=list(world.nodes.values()),
    )
    decision = decide_model(situation)
    refusal = Refusal(decision.actions[0], "exceeded quota", is_final=True)
    refused = situation.refused(decision, refusal)
    assert said(refused) == READY
    assert refused.message.endswith("refused the Job that fetches it: exceeded quota")
    assert having(refused) == {"gpu-1": True, "gpu-2": False}


def test_its_job_is_restricted_but_for_the_folder_of_the_node() -> None:
    node = observe_node(a_node("gpu-1"))
    pool = {"name": "a", "tolerations": [{"key": "team", "operator": "Exists"}]}
    config = a_config_on_nodes(pools=[pool])
    job = prefetch_job(a_model(**GPU), config, node=node)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
    folder = {"path": "/var/lib/models", "type": "Directory"}
    assert {"name": "models", "hostPath": folder} in pod["volumes"]
    assert {"name": "models", "mountPath": "/cache"} in container["volumeMounts"]
    assert pod["tolerations"] == [
        {"key": "team", "operator": "Exists"},
        {"key": "nvidia.com/gpu", "operator": "Exists"},
    ]
    assert node_of(job) == "gpu-1"


def test_what_is_wanted_of_all_pods_does_not_send_it_to_another_node() -> None:
    wanted = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [wanted]}}
    patch = {"spec": {"affinity": {"nodeAffinity": required}, "priorityClassName": "low"}}
    node = observe_node(a_node("gpu-1"))
    job = prefetch_job(a_model(), a_config_on_nodes(podTemplatePatch=patch), node=node)
    assert node_of(job) == "gpu-1"
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "low"


def test_where_pods_may_mount_no_folder_a_claim_shows_it() -> None:
    cache = {"kind": "hostPath", "path": "/var/lib/models", "claimName": "node-models"}
    node = observe_node(a_node("gpu-1"))
    pod = prefetch_job(a_model(), a_config_on_nodes(modelCache=cache), node=node)
    volumes = pod["spec"]["template"]["spec"]["volumes"]
    claim = {"claimName": "node-models"}
    assert {"name": "models", "persistentVolumeClaim": claim} in volumes
    assert not any("hostPath" in each for each in volumes)
