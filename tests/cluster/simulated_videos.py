"""Videos on simulated nodes: their pods do what a test tells them, and no container starts."""

import json
from typing import Any

from harness.cluster import Cluster
from harness.simulated_nodes import EXIT_CODE, MESSAGE, NODE_SELECTOR, RUN_SECONDS, TOLERATION
from harness.waiting import wait_until
from installation import SIMULATED, Document, Workspace, a_manifest

NODE = "simulated-0"
RECORD = json.dumps(
    {
        "kind": "GenerationResult",
        "output": ["video.mp4", "poster.jpg"],
        "video": {
            "sha256": "a" * 64,
            "framesSha256": "b" * 64,
            "bytes": 1000,
            "width": 64,
            "height": 64,
            "frames": 16,
            "fps": 8,
            "duration": 2.0,
        },
        "seed": 1,
        "scheduler": "DDIMScheduler",
        "schedulerClass": "DDIMScheduler",
        "modelRevision": "path:tiny-shapes",
        "device": "cuda",
        "dtype": "torch.bfloat16",
        "timings": {"start": 0.5},
        "generationTime": 1.0,
    }
)


def a_simulated_pool(name: str = SIMULATED, **pool: Any) -> Document:
    """A pool of simulated nodes, for the operator's configuration."""
    return {"name": name, "nodeSelector": NODE_SELECTOR, "tolerations": [TOLERATION], **pool}


def a_simulated_manifest(name: str, **spec: Any) -> Document:
    """A resource whose pod goes to a simulated node and runs until it is told to end."""
    return a_manifest(name, **{"pool": SIMULATED, **spec})


def set_capacity(cluster: Cluster, **amounts: str) -> None:
    """What the first simulated node has of something from now on, such as pods."""
    patch = json.dumps({"status": {"allocatable": amounts, "capacity": amounts}})
    words = ("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", patch)
    cluster.kubectl(*words)


def running_pod(workspace: Workspace, name: str) -> str:
    """The name of the pod that runs for the resource, once there is one."""
    found: list[str] = []

    def runs() -> bool:
        found[:] = [
            pod["metadata"]["name"]
            for pod in workspace.children("pods", name)
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]
        return bool(found)

    wait_until(runs, f"a pod of {name} runs", 120)
    return found[-1]


def end_pod(workspace: Workspace, name: str, exit_code: int = 0, message: str = RECORD) -> None:
    """Let the resource's running pod end now."""
    pod = running_pod(workspace, name)
    told = {RUN_SECONDS: "0", EXIT_CODE: str(exit_code), MESSAGE: message}
    patch = json.dumps({"metadata": {"annotations": told}})
    workspace.kubectl("patch", "pod", pod, "--type=merge", "-p", patch)
