"""`python tests/cluster/with_operator.py`: a cluster with the operator in it, for people.

Videos of the namespace `default` go to a volume; what it prints points kubectl at the cluster.
"""

from harness.choice import choose_cluster
from harness.layout import CACHE
from installation import Installation, Workspace


def main() -> None:
    cluster = choose_cluster()
    cluster.up()
    Installation(cluster).install(CACHE / "values.json")
    Workspace(cluster, "default").prepare()
    print(f"export KUBECONFIG={cluster.kubeconfig}")


if __name__ == "__main__":
    main()
