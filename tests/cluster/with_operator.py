"""`python tests/cluster/with_operator.py`: a cluster with the operator in it, for people.

What it prints points kubectl at the cluster. On the harness's own cluster the links on the statuses
open in this machine's browser as they stand.
"""

from harness.choice import choose_cluster
from harness.layout import CACHE
from harness.one_node import OneNodeCluster
from installation import Installation, Workspace


def main() -> None:
    cluster = choose_cluster()
    cluster.up()
    installation = Installation(cluster)
    is_ours = isinstance(cluster, OneNodeCluster)
    store = installation.embedded() if is_ours else {"storage": {"kind": "embedded"}}
    installation.install(CACHE / "values.json", **store)
    Workspace(cluster, "default").prepare()
    print(f"export KUBECONFIG={cluster.kubeconfig}")


if __name__ == "__main__":
    main()
