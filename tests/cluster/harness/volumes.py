"""Volumes for claims that name no storage class: folders of this machine, made beforehand."""

import json
from pathlib import Path
from typing import Any

STORAGE_CLASS = "standard"
VOLUMES = 12
"""So many claims can be bound in a cluster's life: what was bound once is not used again."""


def volume_documents(folder: Path) -> str:
    """The default storage class and its volumes, as one JSON document for kubectl."""
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
    ]
    for number in range(VOLUMES):
        place = folder / f"volume-{number}"
        place.mkdir(parents=True, exist_ok=True)
        # Whoever the pod runs as: a kubelet does not change the owner of a hostPath.
        place.chmod(0o777)
        items.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": place.name},
                "spec": {
                    "capacity": {"storage": "100Gi"},
                    "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": STORAGE_CLASS,
                    "hostPath": {"path": str(place)},
                },
            }
        )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
