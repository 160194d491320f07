"""Which Jobs the operator's account may make, by the code of the API server itself."""

import copy
import json
import os
import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest
from t2v_api.api_key import KEY_LABEL
from t2v_operator.core.job import build_job
from t2v_operator.core.models.prefetch_job import prefetch_job
from t2v_operator.core.pod_template_patch import patched

from tests.admission.policies import OPERATOR, ROOT, SYSTEM, Document, a_request, judged
from tests.unit.builders import a_config_with_a_store, a_job
from tests.unit.model_observations import a_config_with_a_cache, a_model

BUILDERS = (
    *("test_job", "test_images", "test_keys", "test_pod_template_patch"),
    *(f"decide/test_{name}" for name in ("job", "keys", "pools", "queue")),
    *(f"models/test_{name}" for name in ("on_nodes", "prefetch_job")),
)
"""The unit tests that build Jobs."""
AUDIENCE = {"audience": "text-to-video-operator"}
CACHE = {"kind": "claim", "claimName": "models"}
TOKEN = {"tokenSecretRef": {"name": "hub"}}


def a_video_job() -> Document:
    config = a_config_with_a_store()
    return plain(build_job(a_job(config, seed=1), config))


def a_fetching_job(**model: Any) -> Document:
    job = plain(prefetch_job(a_model(**model), a_config_with_a_cache()))
    job["metadata"]["namespace"] = SYSTEM
    return job


def plain(manifest: Document) -> Document:
    """Without what is shared with other manifests."""
    return copy.deepcopy(manifest)


def refusals(job: Document, user: str = OPERATOR, **values: Any) -> list[str]:
    """The messages that keep the account from making the Job."""
    config = {"reportServer": AUDIENCE, **values.pop("config", {})}
    (answer,) = judged([a_request("CREATE", job, user=user)], config=config, **values)
    return answer


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Document, Document]]:
    """Every Job that the unit tests build, with what of its configuration matters here."""
    file = tmp_path_factory.mktemp("jobs") / "jobs.jsonl"
    paths = [ROOT / f"tests/unit/{name}.py" for name in BUILDERS]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.admission.recording", *paths]
    environment = {**os.environ, "T2V_RECORD_JOBS": str(file)}
    subprocess.run(words, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    entries = [json.loads(line) for line in sorted(set(file.read_text().splitlines()))]
    return [(entry["config"], entry["job"]) for entry in entries if is_whole(entry["job"])]


def is_whole(job: Document) -> bool:
    """Not one of a test that has a fetched model and no cache: no cluster would take it."""
    volumes = job["spec"]["template"]["spec"].get("volumes", ())
    return not any("hostPath" in each and not each["hostPath"]["path"] for each in volumes)


def test_every_job_that_the_operator_builds_may_be_made(
    recorded: list[tuple[Document, Document]],
) -> None:
    by_config: dict[str, list[Document]] = defaultdict(list)
    for config, job in recorded:
        by_config[json.dumps(config, sort_keys=True)].append(job)
    refused = {}
    for config, jobs in by_config.items():
        answers = judged([a_request("CREATE", job) for job in jobs], config=json.loads(config))
        for job, answer in zip(jobs, answers, strict=True):
            names = [each["name"] for each in job["spec"]["template"]["spec"]["containers"]]
            if answer and "sidecar" not in names:
                refused[json.dumps(job)] = answer
    assert refused == {}


def test_all_that_a_job_may_be_is_among_them(recorded: list[tuple[Document, Document]]) -> None:
    texts = [json.dumps(job) for _, job in recorded]
    parts = (
        *('"hostPath"', '"image": {"reference"', '"persistentVolumeClaim"', '"audience"'),
        *('"HF_TOKEN"', '"managedBy"', '"kueue.x-k8s.io/queue-name"', '"shared-memory"'),
        *('"affinity"', '"VideoModel"', '"T2V_UPLOAD"', '"tolerations"', f'"{KEY_LABEL}"'),
    )
    assert [part for part in parts if not any(part in text for text in texts)] == []


def pod(**fields: Any) -> Document:
    """A patch of a Job that changes its pod."""
    return {"spec": {"template": {"spec": fields}}}


def runner(**fields: Any) -> Document:
    """A patch of a Job that changes its container."""
    return pod(containers=[{"name": "runner", **fields}])


def volume(**source: Any) -> Document:
    return pod(volumes=[{"name": "more", **source}])


SNAPSHOT = {
    "apiGroup": "snapshot.storage.k8s.io",
    "kind": "VolumeSnapshot",
    "name": "database",
}


def a_new_claim(**spec: Any) -> Document:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return volume(ephemeral={"volumeClaimTemplate": {"spec": wanted | spec}})


def secured(**fields: Any) -> Document:
    return runner(securityContext=fields)


def from_secret(name: str) -> Document:
    reference = {"secretKeyRef": {"name": "database", "key": "password"}}
    return runner(env=[{"name": name, "valueFrom": reference}])


RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
LABELS = {"metadata": {"labels": {"textto.video/job": None}}}
OTHER_OWNER = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True}
NOT_CONTROLLED = {"apiVersion": "textto.video/v1alpha1", "kind": "TextToVideoJob"}
API_SERVERS_TOKEN = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
VAULTS_TOKEN = {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}
BAD = {
    "no owner": ({"metadata": {"ownerReferences": None}}, "none of them as its controller"),
    "another kind of owner": (
        {"metadata": {"ownerReferences": [OTHER_OWNER | {"name": "x", "uid": "u"}]}},
        "none of them as its controller",
    ),
    "an owner that does not control it": (
        {"metadata": {"ownerReferences": [NOT_CONTROLLED | {"name": "x", "uid": "u"}]}},
        "none of them as its controller",
    ),
    "no label": (LABELS, "a label of the operator's Jobs is missing"),
    "no label on its pods": ({"spec": {"template": LABELS}}, "a label of the operator's Jobs is"),
    "no labels at all": ({"metadata": {"labels": None}}, "a label of the operator's Jobs is"),
    "many pods": ({"spec": {"parallelism": 100, "completions": 100}}, "must be 1"),
    "another image": (runner(image="evil.example.com/miner"), "another image than the runner's"),
    "an image with the runner's for its beginning": (
        runner(image="text-to-video-runner:0.2.0-evil"),
        "another image than the runner's",
    ),
    "a second container of another image": (
        pod(containers=[{"name": "second", "image": "busybox", "securityContext": RESTRICTED}]),
        "another image than the runner's",
    ),
    "a node of its choice": (pod(nodeName="control-plane"), "nodeName must not be set"),
    "the token of its account": (
        pod(automountServiceAccountToken=True),
        "automountServiceAccountToken must be false",
    ),
    "no word about the token": (
        pod(automountServiceAccountToken=None),
        "automountServiceAccountToken must be false",
    ),
    "a service account of the namespace": (
        pod(serviceAccountName="deployer"),
        "serviceAccountName must not be set",
    ),
    "a service account by the field of old": (
        pod(serviceAccount="deployer"),
        "serviceAccountName must not be set",
    ),
    "a token for the API server": (volume(projected=API_SERVERS_TOKEN), "a projected token must"),
    "a token for somebody else": (volume(projected=VAULTS_TOKEN), "a projected token must"),
    "a Secret as files": (volume(secret={"secretName": "database"}), "Secret must not be mounted"),
    "a Secret among several sources": (
        volume(projected={"sources": [{"secret": {"name": "database"}}]}),
        "a Secret must not be mounted",
    ),
    "a Secret in its environment": (from_secret("PASSWORD"), "must take nothing from a Secret"),
    "a hub's token for a video": (from_secret("HF_TOKEN"), "must take nothing from a Secret"),
    "a whole Secret as its environment": (
        runner(envFrom=[{"secretRef": {"name": "database"}}]),
        "must take nothing from a Secret",
    ),
    "a ConfigMap": (volume(configMap={"name": "settings"}), "a ConfigMap must not be read"),
    "a ConfigMap as its environment": (
        runner(envFrom=[{"configMapRef": {"name": "settings"}}]),
        "a ConfigMap must not be read",
    ),
    "a ConfigMap for a variable": (
        runner(
            env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}}]
        ),
        "a ConfigMap must not be read",
    ),
    "a copy of another's claim": (
        a_new_claim(dataSource={"kind": "PersistentVolumeClaim", "name": "database"}),
        "a claim that is made for the pod",
    ),
    "a copy of another's snapshot": (
        a_new_claim(dataSourceRef=SNAPSHOT),
        "a claim that is made for the pod",
    ),
    "a disk that is there": (a_new_claim(volumeName="pv-1"), "a claim that is made for the pod"),
    "a disk by its labels": (
        a_new_claim(selector={"matchLabels": {"app": "database"}}),
        "a claim that is made for the pod",
    ),
    "another's claim": (volume(persistentVolumeClaim={"claimName": "database"}), "a claim must be"),
    "the node's root": (volume(hostPath={"path": "/"}), "a folder of the node (hostPath)"),
    "another kind of volume": (
        volume(iscsi={"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:a", "lun": 0}),
        "a volume is of a kind that",
    ),
    "a driver of its choice": (
        volume(csi={"driver": "secrets-store.csi.k8s.io"}),
        "of a kind that",
    ),
    "a file server": (
        volume(nfs={"server": "10.0.0.1", "path": "/"}),
        "a volume is of a kind that",
    ),
    "the host's network": (pod(hostNetwork=True), "hostNetwork, hostPID, hostIPC"),
    "the host's processes": (pod(hostPID=True), "hostNetwork, hostPID, hostIPC"),
    "the host's memory": (pod(hostIPC=True), "hostNetwork, hostPID, hostIPC"),
    "a port of the host": (
        runner(ports=[{"containerPort": 80, "hostPort": 80}]),
        "hostNetwork, hostPID, hostIPC",
    ),
    "a probe of another host": (
        runner(livenessProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}),
        "the kubelet must ask no other host",
    ),
    "a connection to another host": (
        runner(startupProbe={"tcpSocket": {"host": "10.0.0.1", "port": 80}}),
        "the kubelet must ask no other host",
    ),
    "a request to another host at its end": (
        runner(lifecycle={"preStop": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
        "the kubelet must ask no other host",
    ),
    "a privileged container": (
        secured(privileged=True, allowPrivilegeEscalation=True),
        "every container needs allowPrivilege",
    ),
    "a container that may gain privileges": (
        secured(allowPrivilegeEscalation=None),
        "every container needs allowPrivilegeEscalation false",
    ),
    "an unmasked /proc": (
        patched(secured(procMount="Unmasked"), pod(hostUsers=False)),
        "none may set privileged or procMount",
    ),
    "capabilities kept": (secured(capabilities=None), "every container must drop ALL"),
    "capabilities added": (
        secured(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        "every container must drop ALL",
    ),
    "root for its pod": (pod(securityContext={"runAsUser": 0}), "runAsNonRoot must be true"),
    "root for its container": (secured(runAsUser=0), "runAsNonRoot must be true"),
    "root allowed": (pod(securityContext={"runAsNonRoot": None}), "runAsNonRoot must be true"),
    "root allowed for its container": (secured(runAsNonRoot=False), "runAsNonRoot must be true"),
    "no seccomp": (pod(securityContext={"seccompProfile": None}), "seccompProfile must be"),
    "seccomp undone": (secured(seccompProfile={"type": "Unconfined"}), "seccompProfile must be"),
    "a setting of the kernel": (
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        "sysctls, seLinuxOptions",
    ),
    "AppArmor undone": (secured(appArmorProfile={"type": "Unconfined"}), "sysctls, seLinuxOptions"),
    "an SELinux type of its choice": (
        secured(seLinuxOptions={"type": "spc_t"}),
        "sysctls, seLinuxOptions",
    ),
    "an init container of another image": (
        pod(initContainers=[{"name": "first", "image": "busybox", "securityContext": RESTRICTED}]),
        "another image than the runner's",
    ),
}


@pytest.fixture(scope="module")
def answers_to_bad_ones() -> dict[str, list[str]]:
    """Judged all at once: to start the judge takes longer than to judge."""
    jobs = [patched(a_video_job(), patch) for patch, _ in BAD.values()]
    requests = [a_request("CREATE", job) for job in jobs]
    return dict(zip(BAD, judged(requests, config={"reportServer": AUDIENCE}), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_another_job_is_refused_and_told_why(
    answers_to_bad_ones: dict[str, list[str]], name: str
) -> None:
    (message,) = answers_to_bad_ones[name]
    assert BAD[name][1] in message
    assert "\n" not in message


def test_nobody_else_is_concerned() -> None:
    job = patched(a_video_job(), pod(hostNetwork=True, serviceAccountName="deployer"))
    assert len(refusals(job)) == 2
    others = ("alice", "system:serviceaccount:team-a:video", f"{OPERATOR}-gateway")
    assert judged([a_request("CREATE", job, user=user) for user in others]) == [[]] * 3


def test_models_are_fetched_in_the_operators_namespace_alone() -> None:
    job = a_fetching_job()
    elsewhere = plain(job)
    elsewhere["metadata"]["namespace"] = "team-a"
    config = {"reportServer": AUDIENCE, "modelCache": CACHE}
    requests = [a_request("CREATE", each) for each in (job, elsewhere)]
    good, (message,) = judged(requests, config=config)
    assert good == []
    assert "belongs into the operator's own namespace, t2v-system" in message


FETCHING_BAD = {
    "another program": runner(command=["sh"]),
    "arguments": runner(args=["-c", "env"]),
    "a program at its start": runner(lifecycle={"postStart": {"exec": {"command": ["env"]}}}),
    "a program that probes": runner(livenessProbe={"exec": {"command": ["env"]}}),
    "code of its working folder": runner(workingDir="/scratch"),
    "another container that sees it": pod(shareProcessNamespace=True),
    "code from elsewhere": runner(env=[{"name": "PYTHONPATH", "value": "/cache/evil"}]),
    "a hub of its choice": runner(env=[{"name": "HF_ENDPOINT", "value": "https://evil.example"}]),
    "code in the program's place": runner(
        volumeMounts=[{"name": "scratch", "mountPath": "/app", "readOnly": True}]
    ),
}


def test_who_holds_the_hubs_token_does_nothing_else() -> None:
    job = a_fetching_job(**TOKEN)
    jobs = [job, *(patched(job, patch) for patch in FETCHING_BAD.values())]
    config = {"reportServer": AUDIENCE, "modelCache": CACHE}
    good, *answers = judged([a_request("CREATE", each) for each in jobs], config=config)
    assert good == []
    for name, answer in zip(FETCHING_BAD, answers, strict=True):
        (message,) = answer
        assert "must run `python -m t2v_runner.hub` and nothing beside it" in message, name


@pytest.mark.parametrize(
    ("cache", "source", "read_only"),
    [
        (
            CACHE,
            {"persistentVolumeClaim": {"claimName": "models"}},
            {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        ),
        (
            {"kind": "hostPath", "path": "/var/lib/models"},
            {"hostPath": {"path": "/var/lib/models", "type": "Directory"}},
            None,
        ),
    ],
    ids=["claim", "folder"],
)
def test_a_video_reads_the_model_cache_and_never_writes_it(
    cache: Document, source: Document, read_only: Document | None
) -> None:
    config = {"modelCache": cache}
    mount = {"name": "more", "mountPath": "/cache"}
    writing = patched(patched(a_video_job(), volume(**source)), runner(volumeMounts=[mount]))
    (message,) = refusals(writing, config=config)
    assert "readOnly true; only what fetches writes it" in message
    reading = patched(writing, runner(volumeMounts=[mount | {"readOnly": True}]))
    if read_only:
        reading = patched(reading, volume(**read_only))
    assert refusals(reading, config=config) == []


PATCH = {
    "spec": {
        "serviceAccountName": "puller",
        "containers": [
            {
                "name": "runner",
                "image": "mirror.example.com/runner:1",
                "env": [
                    {"name": "P", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}},
                    {"name": "Q", "valueFrom": {"configMapKeyRef": {"name": "site", "key": "q"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "variables"}}],
            }
        ],
        "volumes": [
            {"name": "a", "secret": {"secretName": "extra"}},
            {"name": "b", "configMap": {"name": "settings"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "loras"}},
            {"name": "d", "hostPath": {"path": "/opt/drivers"}},
            {"name": "e", "csi": {"driver": "driver.example.com"}},
            {"name": "f", "nfs": {"server": "10.0.0.1", "path": "/models"}},
            {"name": "g", "projected": {"sources": [{"secret": {"name": "more"}}]}},
            {"name": "j", "projected": VAULTS_TOKEN},
            {"name": "h", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {
                "name": "i",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {"dataSource": {"kind": "VolumeSnapshot", "name": "weights"}}
                    }
                },
            },
        ],
    }
}


def test_what_the_pod_template_patch_adds_is_allowed_and_nothing_like_it() -> None:
    job = a_video_job()
    job["spec"]["template"] = patched(job["spec"]["template"], PATCH)
    config = {"podTemplatePatch": PATCH}
    assert refusals(job, config=config) == []
    assert len(refusals(job)) == 10
    (message,) = refusals(patched(job, volume(secret={"secretName": "database"})), config=config)
    assert "a Secret must not be mounted" in message
    (message,) = refusals(patched(job, volume(projected=API_SERVERS_TOKEN)), config=config)
    assert "a projected token must be for" in message


def test_a_container_that_a_patch_adds_is_restricted_too() -> None:
    patch = {"spec": {"containers": [{"name": "sidecar", "image": "sidecar:1"}]}}
    job = a_video_job()
    job["spec"]["template"] = patched(job["spec"]["template"], patch)
    privileges, capabilities = refusals(job, config={"podTemplatePatch": patch})
    assert "allowPrivilegeEscalation" in privileges
    assert "drop ALL" in capabilities


@pytest.mark.parametrize(
    ("image", "values", "refused"),
    [
        (f"text-to-video-runner:0.2.0@sha256:{'a' * 64}", {}, 0),
        ("mirror.example.com/t2v/runner:0.2.0", {}, 1),
        ("mirror.example.com/t2v/runner:0.2.0", {"images": ["mirror.example.com/t2v/"]}, 0),
        ("evil.example.com/t2v/runner:0.2.0", {"images": ["mirror.example.com/t2v/"]}, 1),
    ],
    ids=["its digest added", "from a mirror", "from a mirror that is named", "from another"],
)
def test_an_image_may_be_rewritten_where_that_is_said(
    image: str, values: Document, refused: int
) -> None:
    job = patched(a_video_job(), runner(image=image))
    assert len(refusals(job, admissionPolicy=values)) == refused
