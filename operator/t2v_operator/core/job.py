"""Build the Job that makes one video: a pure function from the resolved request to a manifest.

The operator applies the Job to a cluster; `t2v run` runs its container's command on this machine.
"""

import json
from typing import Any

from t2v_api.api_key import KEY_LABEL
from t2v_api.reasons import ExitCode
from t2v_api.resource import API_VERSION, KIND, Estimate, TextToVideoJobSpec

from t2v_operator.config import OperatorConfig, VolumeStorage
from t2v_operator.core.names import (
    APPLIED_ANNOTATION,
    ESTIMATE_ANNOTATION,
    JOB_LABEL,
    MODEL_LABEL,
    NOTICES_ANNOTATION,
    OUTPUT_URL_ANNOTATION,
    POOL_LABEL,
    QUEUE_LABEL,
    QUEUE_PRIORITY_LABEL,
    REQUEST_LABEL,
    RESOURCE_ANNOTATION,
    job_name,
    label_value,
)
from t2v_operator.core.node_affinity import rather_not_on
from t2v_operator.core.places import folder_of, folder_url
from t2v_operator.core.pod_files import SCRATCH_DIR, SCRATCH_LIMIT, PodFiles, pod_files
from t2v_operator.core.pod_template_patch import patched
from t2v_operator.core.pods import COMMON, CONTAINER_SECURITY, literal, present
from t2v_operator.core.request import ResolvedJob

CONTAINER = "runner"
LABEL_HASH = 32

Manifest = dict[str, Any]


def build_job(
    job: ResolvedJob,
    config: OperatorConfig,
    name: str | None = None,
    expected: Estimate | None = None,
) -> Manifest:
    """The Job for `job`, complete but for what the API server fills in.

    `name`: where it is not to be the one that follows from the resource and its request.
    `expected`: what the status is to say of it.

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
    queue = queue_labels(job)
    template = {
        "metadata": {"labels": labels, "annotations": resource_name},
        "spec": _pod(job, config),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name or job_name(resource),
            "namespace": resource.metadata.namespace,
            "labels": labels | queue | ({KEY_LABEL: job.key.id} if job.key else {}),
            "annotations": resource_name
            | {
                OUTPUT_URL_ANNOTATION: folder_url(
                    resource.metadata.namespace, folder_of(job), config
                )
            }
            | {APPLIED_ANNOTATION: applied(spec)}
            | ({NOTICES_ANNOTATION: "; ".join(job.notices)} if job.notices else {})
            | ({ESTIMATE_ANNOTATION: expected.json_line()} if expected else {}),
            "ownerReferences": [_owner(job)],
        },
        "spec": present(
            completions=1,
            parallelism=1,
            # Kueue lets a Job go that it admits.
            suspend=spec.suspend or bool(queue),
            managedBy=job.pool.managed_by,
            backoffLimit=spec.backoff_limit,
            activeDeadlineSeconds=spec.active_deadline_seconds,
            podReplacementPolicy="Failed",
            podFailurePolicy=_pod_failure_policy(),
            template=patched(template, config.pod_template_patch),
        ),
    }


def queue_labels(job: ResolvedJob) -> dict[str, str]:
    """What tells Kueue where the Job waits, and how urgent it is; nothing without a queue."""
    spec = job.resource.spec
    queue = spec.queue_name or job.pool.queue_name
    if queue is None:
        return {}
    priority = spec.priority_class_name
    return {QUEUE_LABEL: queue} | ({QUEUE_PRIORITY_LABEL: priority} if priority else {})


def mutable_values(spec: TextToVideoJobSpec) -> dict[str, Any]:
    """What of a resource may change while its Job is there, under the Job's own names."""
    return {
        "suspend": spec.suspend,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
        "backoffLimit": spec.backoff_limit,
    }


def applied(spec: TextToVideoJobSpec) -> str:
    """The annotation that says with what values a Job was last brought into line."""
    return json.dumps(mutable_values(spec), sort_keys=True, separators=(",", ":"))


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
    pool, files = job.pool, pod_files(job, config)
    return present(
        **COMMON,
        nodeSelector=pool.node_selector,
        tolerations=list(pool.tolerations),
        # Where its model is still to come, it would wait with its GPU.
        affinity=rather_not_on(job.model_on_nodes.lacking) if job.model_on_nodes else None,
        runtimeClassName=pool.runtime_class_name,
        # In a queue the priority is the queue's, not the scheduler's.
        priorityClassName=None if queue_labels(job) else job.resource.spec.priority_class_name,
        imagePullSecrets=[{"name": name} for name in config.runner.pull_secrets],
        containers=[_container(job, config, files)],
        volumes=files.volumes,
    )


def _container(job: ResolvedJob, config: OperatorConfig, files: PodFiles) -> Manifest:
    resources = job.profile.resources
    gpus = {job.pool.gpu_resource: str(resources.gpus)} if resources.gpus else {}
    disk = resources.ephemeral_storage
    environment = {
        "T2V_REQUEST": literal(job.request.json_line()),
        "T2V_MODEL": literal(job.profile.json_line()),
        "HOME": SCRATCH_DIR,
        "TMPDIR": SCRATCH_DIR,
        "HF_HOME": f"{SCRATCH_DIR}/huggingface",
        "T2V_RETRIES": str(_retries_in_pod(job, config)),
        "T2V_CHECKPOINT_MINUTES": f"{config.jobs.checkpoint_every_minutes:g}",
        **files.environment,
    }
    return {
        "name": CONTAINER,
        "image": config.runner.image,
        "imagePullPolicy": config.runner.pull_policy,
        "command": ["python", "-m", "t2v_runner"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {
            "requests": {
                "cpu": resources.cpu,
                "memory": resources.memory,
                # Said, even if it is nothing: left out, it would be the limit.
                "ephemeral-storage": disk or "0",
                **gpus,
            },
            "limits": {
                "memory": resources.memory,
                "ephemeral-storage": disk or SCRATCH_LIMIT,
                **gpus,
            },
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": files.mounts,
        **_restart_policy(job, config),
    }


def _restart_policy(job: ResolvedJob, config: OperatorConfig) -> Manifest:
    """Start the runner again where its files are: another pod would begin with nothing."""
    if not _retries_in_pod(job, config):
        return {}
    exit_codes = {"operator": "In", "values": [int(ExitCode.STORAGE_OR_NETWORK)]}
    rule = {"action": "Restart", "exitCodes": exit_codes}
    return {"restartPolicy": "Never", "restartPolicyRules": [rule]}


def _retries_in_pod(job: ResolvedJob, config: OperatorConfig) -> int:
    """At most so many; the runner keeps count, since Kubernetes does not.

    On a volume nothing is uploaded, so no video is left behind to go on with.
    """
    uploads = not isinstance(config.storage, VolumeStorage)
    is_retried_here = uploads and job.resource.spec.backoff_limit > 0 and not job.pool.managed_by
    return config.jobs.retries_in_pod if is_retried_here else 0


def _pod_failure_policy() -> Manifest:
    """Fail at once what another attempt cannot mend; do not count disruptions as attempts.

    A runner that says it is out of memory has tried all that its model allows. One that was killed
    (137) is tried again: more than the memory limit kills.
    """
    hopeless = [
        ExitCode.REQUEST_REFUSED,
        ExitCode.MODEL_REFUSED,
        ExitCode.OUT_OF_MEMORY,
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
