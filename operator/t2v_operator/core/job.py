"""Build the Job that makes one video: a pure function from the resolved request to a manifest.

The operator applies the Job to a cluster; `t2v run` runs its container's command on this machine.
"""

from typing import Any

from t2v_api.reasons import ExitCode
from t2v_api.resource import API_VERSION, KIND

from t2v_operator.config import OperatorConfig
from t2v_operator.core.names import (
    JOB_LABEL,
    MODEL_LABEL,
    NOTICES_ANNOTATION,
    OUTPUT_URL_ANNOTATION,
    POOL_LABEL,
    REQUEST_LABEL,
    RESOURCE_ANNOTATION,
    job_name,
    label_value,
)
from t2v_operator.core.pod_template_patch import patched
from t2v_operator.core.request import ResolvedJob

CONTAINER = "runner"
OUTPUT_DIR = "/output"
SCRATCH_DIR = "/scratch"
STOP_SECONDS = 60
"""A denoising step must end within this time for a clean stop."""

LABEL_HASH = 32

Manifest = dict[str, Any]


def build_job(job: ResolvedJob, config: OperatorConfig) -> Manifest:
    """The Job for `job`, complete but for what the API server fills in.

    It has no TTL of its own: a Job that went before its result was recorded would have been for
    nothing, so the operator removes it, after that.
    """
    resource, spec = job.resource, job.resource.spec
    labels = {
        JOB_LABEL: label_value(resource.metadata.name),
        REQUEST_LABEL: spec.request_hash[:LABEL_HASH],
        MODEL_LABEL: spec.model_id,
        POOL_LABEL: job.pool.name,
    }
    resource_name = {RESOURCE_ANNOTATION: resource.metadata.name}
    template = {
        "metadata": {"labels": labels, "annotations": resource_name},
        "spec": _pod(job, config),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(resource),
            "namespace": resource.metadata.namespace,
            "labels": labels,
            "annotations": resource_name
            | {OUTPUT_URL_ANNOTATION: f"{config.storage.url.rstrip('/')}/{output_key(job, config)}"}
            | ({NOTICES_ANNOTATION: "; ".join(job.notices)} if job.notices else {}),
            "ownerReferences": [_owner(job)],
        },
        "spec": _present(
            completions=1,
            parallelism=1,
            suspend=spec.suspend,
            backoffLimit=spec.backoff_limit,
            activeDeadlineSeconds=spec.active_deadline_seconds,
            podReplacementPolicy="Failed",
            podFailurePolicy=_pod_failure_policy(),
            template=patched(template, config.pod_template_patch),
        ),
    }


def output_key(job: ResolvedJob, config: OperatorConfig) -> str:
    """Where the video's files stand in the storage: one folder for each distinct request."""
    parts = (config.storage.prefix.strip("/"), job.resource.metadata.namespace, job.request.digest)
    return "/".join(part for part in parts if part)


def _owner(job: ResolvedJob) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": job.resource.metadata.name,
        "uid": job.resource.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _pod(job: ResolvedJob, config: OperatorConfig) -> Manifest:
    pool = job.pool
    return _present(
        restartPolicy="Never",
        automountServiceAccountToken=False,
        enableServiceLinks=False,
        terminationGracePeriodSeconds=STOP_SECONDS,
        securityContext={
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        nodeSelector=pool.node_selector,
        tolerations=list(pool.tolerations),
        runtimeClassName=pool.runtime_class_name,
        priorityClassName=job.resource.spec.priority_class_name,
        imagePullSecrets=[{"name": name} for name in config.runner.pull_secrets],
        containers=[_container(job, config)],
        volumes=[
            {"name": "output", "persistentVolumeClaim": {"claimName": config.storage.claim_name}},
            {"name": "scratch", "emptyDir": {}},
        ],
    )


def _container(job: ResolvedJob, config: OperatorConfig) -> Manifest:
    resources = job.profile.resources
    gpus = {job.pool.gpu_resource: str(resources.gpus)} if resources.gpus else {}
    return {
        "name": CONTAINER,
        "image": config.runner.image,
        "imagePullPolicy": config.runner.pull_policy,
        "command": ["python", "-m", "t2v_runner"],
        "env": [
            {"name": "T2V_REQUEST", "value": _literal(job.request.json_line())},
            {"name": "T2V_MODEL", "value": _literal(job.profile.json_line())},
            {"name": "T2V_OUTPUT_DIR", "value": f"{OUTPUT_DIR}/{output_key(job, config)}"},
            {"name": "HOME", "value": SCRATCH_DIR},
            {"name": "TMPDIR", "value": SCRATCH_DIR},
            {"name": "HF_HOME", "value": f"{SCRATCH_DIR}/huggingface"},
        ],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory, **gpus},
            "limits": {"memory": resources.memory, **gpus},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "output", "mountPath": OUTPUT_DIR},
            {"name": "scratch", "mountPath": SCRATCH_DIR},
        ],
    }


def _literal(json_line: str) -> str:
    """JSON in which a kubelet finds nothing to expand: "$(NAME)" in a value names a variable.

    A dollar sign can stand in JSON's strings only, and there has another spelling.
    """
    return json_line.replace("$", "\\u0024")


def _pod_failure_policy() -> Manifest:
    """Fail at once what another attempt cannot mend; do not count disruptions as attempts."""
    hopeless = [
        ExitCode.REQUEST_REFUSED,
        ExitCode.MODEL_REFUSED,
        ExitCode.INIT_MEDIA_REFUSED,
    ]
    return {
        "rules": [
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": CONTAINER,
                    "operator": "In",
                    "values": [int(code) for code in hopeless],
                },
            },
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
        ]
    }


def _present(**fields: Any) -> Manifest:
    return {name: value for name, value in fields.items() if value not in (None, [], {}, ())}
