"""How many threads a video is computed with, and how they wait. Knows nothing of torch.

OpenMP reads both once, when its library is loaded: they are set before torch is imported.
"""

from collections.abc import MutableMapping

SPINS, SPINS_BESIDE_OTHERS = "10000", "1000"
"""How often a thread looks whether there is work before it sleeps.

A small model's operations have pauses of some tens of microseconds between them: to sleep in each
costs an idle machine a third of its speed. OpenMP's own number is 30 times the first: on cores that
other processes use too, a thread takes from them, and from its own siblings, what it waits for.
Measured: docs/performance.md."""


def set_threads(environment: MutableMapping[str, str], cpus: float, idle_cpus: float) -> None:
    """A thread for each whole CPU that the container may use at once; what is set already stays.

    OpenMP sees the node's CPUs, not the container's limit: with more threads than that the kernel
    stops all of them for the rest of each tenth of a second. `idle_cpus`: how many of the node's
    nobody uses just now.
    """
    threads = max(1, int(cpus))
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    if "OMP_WAIT_POLICY" not in environment:
        has_room = idle_cpus > threads - 0.5
        environment.setdefault("GOMP_SPINCOUNT", SPINS if has_room else SPINS_BESIDE_OTHERS)
