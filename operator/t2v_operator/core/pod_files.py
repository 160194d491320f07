"""What a pod needs to put its files where they belong, and to report: volumes, mounts, environment.

With a store, a pod holds no right but its own token, which only the report server takes. Pure.
"""

from dataclasses import dataclass, field
from typing import Any

from t2v_api.delivery import TOKEN_FILE, TOKEN_FOLDER
from t2v_api.profile import ModelDescription
from t2v_api.web_address import AllowedAddresses

from t2v_operator.config import OperatorConfig, VolumeStorage
from t2v_operator.core.model_volumes import cache_source, image_volumes
from t2v_operator.core.places import folder_of, place
from t2v_operator.core.request import ResolvedJob

OUTPUT_DIR = "/output"
SCRATCH_DIR = "/scratch"
CACHE_DIR = "/cache"
SCRATCH_LIMIT = "50Gi"
"""Where the model's profile names none."""
TOKEN_SECONDS = 3600
"""The kubelet renews the token before that."""
MODEL_WAIT_SECONDS = 1800
"""So long a video waits on its node for a model that is to come there."""


@dataclass(frozen=True)
class PodFiles:
    """Parts of a pod and its container."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def pod_files(job: ResolvedJob, config: OperatorConfig) -> PodFiles:
    """Scratch space, the way to the storage, the way to the report server."""
    files = PodFiles()
    limit = job.profile.resources.ephemeral_storage or SCRATCH_LIMIT
    storage = config.storage
    if isinstance(storage, VolumeStorage):
        claim = {"claimName": storage.claim_name}
        files.volumes.append({"name": "output", "persistentVolumeClaim": claim})
        files.mounts.append({"name": "output", "mountPath": OUTPUT_DIR})
        key = place(job.resource.metadata.namespace, folder_of(job), config)
        files.environment["T2V_OUTPUT_DIR"] = f"{OUTPUT_DIR}/{key}"
    else:
        files.environment["T2V_OUTPUT_DIR"] = f"{SCRATCH_DIR}/output/{folder_of(job)}"
        files.environment["T2V_UPLOAD"] = "1"
    add_scratch(files, limit)
    if job.profile.resources.gpus > 1:
        # GPUs without a link of their own speak by it (NCCL), and 64 MB, the usual, is too little.
        files.volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
        files.mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108
    if config.allowed_addresses != AllowedAddresses():
        files.environment["T2V_ALLOWED_ADDRESSES"] = config.allowed_addresses.json_line()
    if job.model_is_prefetched:
        add_model_cache(files, config, read_only=True)
    add_images(files, job.profile)
    add_report_server(files, config)
    return files


def add_scratch(files: PodFiles, limit: str) -> None:
    """Space that goes with the pod."""
    files.volumes.append({"name": "scratch", "emptyDir": {"sizeLimit": limit}})
    files.mounts.append({"name": "scratch", "mountPath": SCRATCH_DIR})


def add_model_cache(files: PodFiles, config: OperatorConfig, read_only: bool) -> None:
    """The models that are kept for all. `read_only`: what is not there is not fetched."""
    mount: dict[str, Any] = {"name": "models", "mountPath": CACHE_DIR}
    files.environment["T2V_MODELS_CACHE"] = CACHE_DIR
    if read_only:
        mount["readOnly"] = True
        files.environment["T2V_MODELS_READ_ONLY"] = "1"
        if config.model_cache.is_of_each_node:
            files.environment["T2V_MODELS_WAIT_SECONDS"] = str(MODEL_WAIT_SECONDS)
    source = cache_source(config.model_cache, read_only)
    files.volumes.append({"name": "models", **source})
    files.mounts.append(mount)


def add_images(files: PodFiles, model: ModelDescription) -> None:
    """The images that the model comes from, where it comes from any."""
    for volume, mount in image_volumes(model):
        files.volumes.append(volume)
        files.mounts.append(mount)


def add_report_server(files: PodFiles, config: OperatorConfig) -> None:
    """The way to the report server, where there is one, and the token that it takes."""
    server = config.report_server
    if not server.url:
        return
    token = {
        "path": TOKEN_FILE,
        "audience": server.audience,
        "expirationSeconds": TOKEN_SECONDS,
    }
    files.volumes.append(
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    )
    files.mounts.append({"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True})
    files.environment["T2V_REPORT_URL"] = server.url
    files.environment["T2V_REPORT_CA"] = server.certificate_authority
