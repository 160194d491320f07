"""Build the Job that fetches one model into the model cache: a pure function to a manifest.

It needs no GPU, and of a Secret it alone gets the hub's token. Where each node has a cache of its
own, each of them gets such a Job.
"""

import json
from collections.abc import Sequence

from t2v_api.quantity import bytes_of
from t2v_api.reasons import ExitCode
from t2v_api.resource import API_VERSION, hash_of
from t2v_api.video_model import MODEL_KIND, VideoModelSpec

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.models.nodes import ObservedNode, is_of_pool, tolerations_of
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import APPLIED_ANNOTATION, POOL_LABEL, PREFETCH_LABEL, job_name_of
from t2v_operator.core.node_affinity import only_on
from t2v_operator.core.pod_files import (
    SCRATCH_DIR,
    PodFiles,
    add_images,
    add_model_cache,
    add_report_server,
    add_scratch,
)
from t2v_operator.core.pod_template_patch import patched
from t2v_operator.core.pods import COMMON, CONTAINER_SECURITY, literal, present

BACKOFF_LIMIT = 6
"""Further attempts, ten seconds after the first, then twice as long each time, by Kubernetes."""
SCRATCH_LIMIT = "1Gi"
RESOURCES = {
    "requests": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "0"},
    "limits": {"memory": "4Gi", "ephemeral-storage": SCRATCH_LIMIT},
}


Commits = tuple[str | None, str | None]
"""Of a model's source, and of its motion adapter where that is from a hub."""


def prefetch_job_name(
    model: ObservedModel, config: OperatorConfig, node: ObservedNode | None = None
) -> str:
    """Another one for all that fetches something else, fetches it otherwise or elsewhere."""
    spec = model.spec
    assert spec
    assert spec.prefetch
    token = spec.token_secret_ref
    wanted = {
        "uid": model.metadata.uid,
        "sources": spec.sources,
        "family": spec.family,
        "pools": spec.prefetch.pools,
        "token": token.document() if token else None,
        "cache": config.model_cache.named,
    }
    if model.status and model.status.missing_time:
        # The Job that fetched it the last time may be there still.
        wanted["missing"] = model.status.missing_time.isoformat()
    if node:
        # What else the model is fetched for does not matter there.
        wanted |= {"node": node.uid, "pools": ()}
    return job_name_of(f"prefetch-{model.name}", hash_of(wanted))


def prefetch_job(
    model: ObservedModel,
    config: OperatorConfig,
    to_keep: Sequence[str] = (),
    node: ObservedNode | None = None,
    commits: Commits | None = None,
) -> Manifest:
    """The Job for `model`, complete but for its namespace and what the API server fills in.

    One for all pools, where every node shows the same cache; it runs where the first of them is.
    Else one for `node`. `to_keep` must not go to make room for it. `commits`: what it fetches;
    None: what a branch or tag names then, or what it had before it went missing.
    """
    assert model.spec
    pool = _pool(model, config, node)
    labels = {PREFETCH_LABEL: model.name, POOL_LABEL: pool.name}
    files = _files(model.spec, config, to_keep)
    spec = present(
        **COMMON,
        nodeSelector=pool.node_selector,
        tolerations=tolerations_of(pool) if node else list(pool.tolerations),
        imagePullSecrets=[{"name": name} for name in config.runner.pull_secrets],
        containers=[_container(model, commits, config, files)],
        volumes=files.volumes,
    )
    template = patched({"metadata": {"labels": labels}, "spec": spec}, config.pod_template_patch)
    if node:
        # Whatever else is wanted of all pods: what it leaves elsewhere would be looked for here.
        template = patched(template, {"spec": {"affinity": only_on(node.name)}})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": prefetch_job_name(model, config, node),
            "labels": labels,
            "annotations": {APPLIED_ANNOTATION: json.dumps(configured(model, config, node))},
            "ownerReferences": [_owner(model)],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": BACKOFF_LIMIT,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": _pod_failure_policy(),
            "template": template,
        },
    }


def configured(
    model: ObservedModel, config: OperatorConfig, node: ObservedNode | None = None
) -> dict[str, str]:
    """Noted on the Job: tells apart what the configuration says of its pods. Where to report to
    is left out, which makes no fetch fail."""
    pool = _pool(model, config, node)
    said = {
        "runner": config.runner.document(),
        "nodeSelector": pool.node_selector,
        "tolerations": pool.tolerations,
        "podTemplatePatch": config.pod_template_patch,
    }
    return {"configuration": hash_of(said)}


def _pool(model: ObservedModel, config: OperatorConfig, node: ObservedNode | None) -> GpuPool:
    """The one whose nodes it runs on: that of `node`, else the first of those that need it."""
    assert model.spec
    pools, needs_gpu = prefetch_pools(model, config), model.spec.resources.gpus > 0
    return next((p for p in pools if node and is_of_pool(node, p, needs_gpu)), pools[0])


def prefetch_pools(model: ObservedModel, config: OperatorConfig) -> tuple[GpuPool, ...]:
    """The pools that need the model; those that the configuration does not know are left out."""
    assert model.spec
    assert model.spec.prefetch
    names = model.spec.prefetch.pools or (config.pools[0].name,)
    return tuple(pool for pool in config.pools if pool.name in names)


def _owner(model: ObservedModel) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": MODEL_KIND,
        "name": model.name,
        "uid": model.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _files(model: VideoModelSpec, config: OperatorConfig, to_keep: Sequence[str]) -> PodFiles:
    files = PodFiles()
    add_scratch(files, SCRATCH_LIMIT)
    add_model_cache(files, config, read_only=False)
    add_images(files, model)
    if config.model_cache.size:
        files.environment["T2V_MODELS_CACHE_BYTES"] = str(bytes_of(config.model_cache.size))
        files.environment["T2V_MODELS_IN_USE"] = ",".join(to_keep)
    add_report_server(files, config)
    return files


def _container(
    model: ObservedModel, commits: Commits | None, config: OperatorConfig, files: PodFiles
) -> Manifest:
    spec = model.spec
    assert spec
    profile = spec.profile(model.name, *commits) if commits else model.profile_to_fetch
    environment = {
        "T2V_MODEL": literal(profile.json_line()),
        "HOME": SCRATCH_DIR,
        "TMPDIR": SCRATCH_DIR,
        "HF_HOME": f"{SCRATCH_DIR}/huggingface",
        **files.environment,
    }
    if spec.prefetch and spec.prefetch.convert:
        environment["T2V_MODELS_CONVERT"] = "1"
    entries: list[Manifest] = [
        {"name": name, "value": value} for name, value in environment.items()
    ]
    if spec.token_secret_ref:
        key = {"name": spec.token_secret_ref.name, "key": spec.token_secret_ref.key}
        entries.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}})
    return {
        "name": CONTAINER,
        "image": config.runner.image,
        "imagePullPolicy": config.runner.pull_policy,
        "command": ["python", "-m", "t2v_runner.hub"],
        "env": entries,
        "resources": RESOURCES,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": files.mounts,
    }


def _pod_failure_policy() -> Manifest:
    """Fail at once what another attempt cannot mend; do not count disruptions as attempts."""
    refused = {
        "containerName": CONTAINER,
        "operator": "In",
        "values": [int(ExitCode.REQUEST_REFUSED), int(ExitCode.MODEL_REFUSED)],
    }
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": refused},
            {"action": "Ignore", "onPodConditions": disrupted},
        ]
    }
