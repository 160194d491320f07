"""The gateway's part of the chart: what it renders, what it may do."""

from typing import Any

import pytest
import yaml
from t2v_operator.delivery.asgi import GRACE_SECONDS

from tests.chart.test_chart import Helm, helm, rendered

__all__ = ("helm",)

NAME = "video-gateway"
ON = ("--set", "gateway.enabled=true", "--set", "config.apiKeys.enabled=true")


def test_it_is_off_by_default(helm: Helm) -> None:
    assert not [name for _, name in rendered(helm) if "gateway" in name]


def test_it_runs_restricted_with_the_operators_image_and_settings(helm: Helm) -> None:
    documents = rendered(helm, *ON, "--set", "gateway.config.waitSeconds=5")
    pod = documents["Deployment", NAME]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    operator = documents["Deployment", "video"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == operator["image"]
    settings = yaml.safe_load(documents["ConfigMap", NAME]["data"]["gateway.yaml"])
    assert settings["waitSeconds"] == 5


@pytest.mark.parametrize(
    ("values", "url"),
    [
        (("ingress.enabled=true", "ingress.host=a.example.com"), "http://a.example.com"),
        (
            ("ingress.enabled=true", "ingress.host=a.example.com", "ingress.tlsSecret=tls"),
            "https://a.example.com",
        ),
        (("httpRoute.enabled=true", "httpRoute.hostname=b.example.com"), "https://b.example.com"),
    ],
)
def test_answers_name_the_address_that_clients_reach(
    helm: Helm, values: tuple[str, ...], url: str
) -> None:
    words = [word for value in values for word in ("--set", f"gateway.{value}")]
    documents = rendered(helm, *ON, *words)
    settings = yaml.safe_load(documents["ConfigMap", NAME]["data"]["gateway.yaml"])
    assert settings["publicUrl"] == url


def test_its_rights_end_at_the_namespaces_that_are_watched(helm: Helm) -> None:
    documents = rendered(helm, *ON, "--set", "config.namespaces={films,ads}")
    kinds = [kind for kind, name in documents if name.endswith("gateway")]
    assert "ClusterRole" not in kinds
    text = helm(
        *("template", "video", "charts/text-to-video-operator", "--namespace", "t2v-system"),
        *(*ON, "--set", "config.namespaces={films,ads}"),
    )
    roles = [
        each["metadata"]["namespace"]
        for each in yaml.safe_load_all(text)
        if each and each["kind"] == "Role" and each["metadata"]["name"] == NAME
    ]
    assert roles == ["films", "ads"]


def test_it_writes_no_status_and_no_job(helm: Helm) -> None:
    rules: list[dict[str, Any]] = rendered(helm, *ON)["ClusterRole", "video.t2v-system:gateway"][
        "rules"
    ]
    assert rules == [
        {
            "apiGroups": ["textto.video"],
            "resources": ["texttovideojobs"],
            "verbs": ["get", "list", "watch", "create", "patch", "delete"],
        }
    ]


def test_it_ends_when_nobody_sends_requests_there_any_more(helm: Helm) -> None:
    def pod(*version: str) -> dict[str, Any]:
        found: dict[str, Any] = rendered(helm, *ON, *version)["Deployment", NAME]["spec"]
        return found["template"]["spec"]

    new, old = pod("--kube-version", "1.30.0"), pod("--kube-version", "1.29.0")
    pause = new["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert new["terminationGracePeriodSeconds"] > pause + GRACE_SECONDS
    assert "lifecycle" not in old["containers"][0], "it knows no such pause"


def test_a_gateway_that_scales_has_no_number_of_its_own(helm: Helm) -> None:
    documents = rendered(helm, *ON, "--set", "gateway.autoscaling.enabled=true")
    assert "replicas" not in documents["Deployment", NAME]["spec"]
    assert documents["HorizontalPodAutoscaler", NAME]["spec"]["minReplicas"] == 2
    assert "replicas" in rendered(helm, *ON)["Deployment", NAME]["spec"]
