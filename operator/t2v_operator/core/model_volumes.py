"""What shows a model's files to a pod: the volume of the model cache, or an OCI image. Pure.

What else a pod mounts is `pod_files`'s.
"""

from collections.abc import Iterator
from typing import Any

from t2v_api.profile import ModelDescription

from t2v_operator.config import ModelCache
from t2v_operator.core.pods import present

Part = dict[str, Any]

NEEDS_IMAGE_VOLUMES = (
    "pods mount images from Kubernetes 1.35 on: take a hub or a folder, or set imageVolumes to "
    "true in the operator's configuration where the feature gate ImageVolume is on"
)


def cache_source(cache: ModelCache, read_only: bool) -> Part:
    """Where the volume of the model cache comes from, as a pod names it."""
    if cache.claim_name:
        claim: Part = {"claimName": cache.claim_name}
        return {"persistentVolumeClaim": claim | ({"readOnly": True} if read_only else {})}
    # Not made where it is missing: the kubelet's own would be root's, whom no pod of ours is.
    return {"hostPath": {"path": cache.path, "type": "Directory"}}


def tag_warnings(model: ModelDescription) -> Iterator[str]:
    """What to know of each image that may be another one tomorrow."""
    for source in model.images:
        if source.image_digest is None:
            yield (
                f"image {source.image} has no digest: what it names may change, and then other "
                "weights draw; NAME@sha256:… names the same for ever"
            )


def image_volumes(model: ModelDescription) -> list[tuple[Part, Part]]:
    """A volume and its mount for each image that the model comes from.

    A kubelet mounts them read-only: https://kubernetes.io/docs/concepts/storage/volumes/#image
    """
    volumes = []
    for number, source in enumerate(model.images, 1):
        name = f"image-{number}"
        image = present(reference=source.image, pullPolicy=source.pull_policy)
        mount = {"name": name, "mountPath": source.folder, "readOnly": True}
        volumes.append(({"name": name, "image": image}, mount))
    return volumes
