"""An installation that nothing is wrong with, as the API server shows it."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from t2v_operator.config import read_config
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition
from t2v_operator.delivery.certificates import make_certificate

from tests.unit.client.cluster import Cluster

CORE = "/api/v1/namespaces/t2v-system"
APPS = "/apis/apps/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/t2v-system/leases/t2v"
NODES = "/api/v1/nodes"
CLAIM = f"{CORE}/persistentvolumeclaims/models"
SECRET = f"{CORE}/secrets/t2v-report"
RUNTIME_CLASS = "/apis/node.k8s.io/v1/runtimeclasses/nvidia"
STORE = f"{APPS}/namespaces/t2v-system/statefulsets"
METRICS = f"{CORE}/pods/t2v-1:8080/proxy/metrics"
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
REPORT = "t2v-report.t2v-system.svc"
MODELS = "/apis/textto.video/v1alpha1/videomodels"


def configured(cluster: Cluster, **changed: Any) -> None:
    """Write the operator's ConfigMap."""
    wanted = read_config(None).document()
    wanted["models"][0]["resources"]["gpus"] = 1
    wanted["pools"] = [
        {
            "name": "default",
            "runtimeClassName": "nvidia",
            "queueName": "films",
            "nodeSelector": {"gpu": "yes"},
        }
    ]
    wanted |= {
        "leaderElection": {"name": "t2v"},
        "reportServer": {"url": f"https://{REPORT}", "secret": "t2v-report"},
        "storage": {"kind": "embedded", "url": cluster.address},
        "modelCache": {"kind": "claim", "claimName": "models"},
        "kueue": {"enabled": True},
        **changed,
    }
    cluster.objects[f"{CORE}/configmaps/t2v"] = {"data": {"config.yaml": yaml.safe_dump(wanted)}}


def certified(cluster: Cluster, host: str = REPORT, days_ago: int = 0) -> None:
    """Write the Secret of the report server."""
    made = make_certificate([host], datetime.now(UTC) - timedelta(days=days_ago))
    data = {"tls.crt": base64.b64encode(made.certificate).decode(), "tls.key": "do-not-tell"}
    cluster.objects[SECRET] = {"data": data}


def leading(cluster: Cluster, seconds_ago: float = 1.0) -> None:
    renewed = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    spec = {"holderIdentity": "t2v-1", "renewTime": renewed.isoformat(), "leaseDurationSeconds": 15}
    cluster.objects[LEASE] = {"spec": spec}


def allowing(*refused: str) -> Any:
    """Answers reviews; `refused`: kinds that may not be touched."""

    def review(body: Any) -> Any:
        kind = body["spec"]["resourceAttributes"]["resource"]
        return {"status": {"allowed": kind not in refused}}

    return review


def make_healthy(cluster: Cluster) -> None:
    deployment = {
        "metadata": {"name": "t2v", "namespace": "t2v-system"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "t2v"}},
            "template": {
                "spec": {
                    "serviceAccountName": "t2v",
                    "containers": [{"name": "operator", "image": "operator:1"}],
                    "volumes": [{"name": "config", "configMap": {"name": "t2v"}}],
                }
            },
        },
        "status": {"readyReplicas": 1},
    }
    gateway = {
        "metadata": {"name": "t2v-gateway", "namespace": "t2v-system"},
        "spec": {"template": {"spec": {"containers": [{"name": "gateway"}]}}},
    }
    node = {
        "metadata": {"name": "n", "labels": {"gpu": "yes"}},
        "spec": {},
        "status": {
            "allocatable": {"nvidia.com/gpu": "8"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    active = {"conditions": [{"type": "Active", "status": "True"}]}
    queue = {"metadata": {"name": "films", "namespace": "films"}}
    cluster.objects |= {
        f"{APPS}/deployments": {"items": [gateway, deployment]},
        f"{CORE}/pods": {"items": [{"metadata": {"name": "t2v-1"}}]},
        METRICS: 't2v_store_errors_total{operation="write"} 0.0\n',
        NODES: {"items": [node]},
        RUNTIME_CLASS: {},
        CLAIM: {"status": {"phase": "Bound"}},
        MODELS: {"items": []},
        STORE: {"items": [{"metadata": {"name": "store"}, "status": {"readyReplicas": 1}}]},
        f"{KUEUE}/localqueues": {"items": [queue]},
        f"{KUEUE}/clusterqueues": {"items": [{"metadata": {"name": "all"}, "status": active}]},
    }
    for kind in CUSTOM_KINDS:
        definition = custom_resource_definition(kind)
        cluster.objects[f"{CRDS}/{kind.name}"] = definition
    for review in ("subjectaccessreviews", "selfsubjectaccessreviews"):
        cluster.objects[f"/apis/authorization.k8s.io/v1/{review}"] = allowing()
    configured(cluster)
    certified(cluster)
    leading(cluster)
