"""The configuration files of the one-node cluster's programs, as plain data."""

import json
from pathlib import Path
from textwrap import dedent

import yaml

from harness import audit
from harness.network import BRIDGE, BRIDGE_ADDRESS, POD_RANGE

PAUSE_IMAGE = "localhost/pause:test"


def write_settings(run: Path) -> None:
    """Write all of them into `run/settings`."""
    folder = run / "settings"
    (folder / "cni").mkdir(parents=True)
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_pod_network(run)))
    (folder / "containerd.toml").write_text(_containerd(run))
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(run)))
    (folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_kube_proxy(run)))
    (folder / "Corefile").write_text(_cluster_dns(run))
    (folder / "resolv.conf").write_text("")
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(audit.POLICY))


def _pod_network(run: Path) -> dict[str, object]:
    """Pods reach each other and the machine; no masquerading, so they reach nothing beyond it."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(run / "cni"),
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    return {"cniVersion": "0.4.0", "name": BRIDGE, "plugins": [bridge]}


def _containerd(run: Path) -> str:
    """An instance of its own: root, state and socket are apart from a system's containerd.

    restrict_oom_score_adj: where the machine may not lower oom_score_adj, every sandbox otherwise
    dies with "can't get final child's PID from pipe: EOF".
    """
    return dedent(f"""\
        version = 2
        root = "{run}/containerd/root"
        state = "{run}/containerd/state"
        disabled_plugins = ["io.containerd.snapshotter.v1.btrfs"]
        [grpc]
          address = "{run}/containerd.sock"
        [plugins."io.containerd.internal.v1.opt"]
          path = "{run}/containerd/opt"
        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = "{PAUSE_IMAGE}"
          restrict_oom_score_adj = true
          netns_mounts_under_state_dir = true
        [plugins."io.containerd.grpc.v1.cri".cni]
          bin_dir = "/usr/lib/cni"
          conf_dir = "{run}/settings/cni"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = false
          Root = "{run}/containerd/runc"
        """)


def _kubelet(run: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": BRIDGE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(run / "certificates" / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{run}/containerd.sock",
        "podLogsDir": str(run / "pod-logs"),
        "volumePluginDir": str(run / "volume-plugins"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [BRIDGE_ADDRESS],
        # Not the machine's own resolver: its search list would slow every look-up.
        "resolvConf": str(run / "settings" / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        # From 1.35 on, cgroup v1 is refused unless this is said.
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        # A developer's full disk neither evicts pods nor deletes images that were loaded by hand.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 250,
        "nodeStatusUpdateFrequency": "5s",
    }


def _kube_proxy(run: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(run / "kubeconfigs" / "kube-proxy")},
        "clusterCIDR": POD_RANGE,
        "mode": "iptables",
        # A pod that calls a pod through a Service gets its answer back through the machine,
        # also where bridged packets pass iptables by.
        "iptables": {"masqueradeAll": True, "localhostNodePorts": False},
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
    }


def _cluster_dns(run: Path) -> str:
    """Names in the cluster; any other does not exist, said at once."""
    return dedent(f"""\
        cluster.local in-addr.arpa ip6.arpa {{
            bind {BRIDGE_ADDRESS}
            errors
            kubernetes cluster.local in-addr.arpa ip6.arpa {{
                kubeconfig {run}/kubeconfigs/admin
            }}
        }}
        . {{
            bind {BRIDGE_ADDRESS}
            template ANY ANY {{
                rcode NXDOMAIN
            }}
        }}
        """)
