"""How many threads a video is computed with, and how they wait. Knows nothing of torch.

OpenMP reads both once, when its library is loaded: they are set before torch is imported.
"""

from collections.abc import MutableMapping

SPINS = "1000"
"""How often a thread looks whether there is work before it sleeps: some tens of microseconds, as
long as the pauses between the operations of a small model.

OpenMP's own number is 300 times that: on cores that other processes use too, a thread takes from
them, and from its own siblings, what it waits for."""


def set_threads(environment: MutableMapping[str, str], cpus: float) -> None:
    """A thread for each whole CPU that the container may use at once; what is set already stays.

    OpenMP sees the node's CPUs, not the container's limit: with more threads than that the kernel
    stops all of them for the rest of each tenth of a second.
    """
    environment.setdefault("OMP_NUM_THREADS", str(max(1, int(cpus))))
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
