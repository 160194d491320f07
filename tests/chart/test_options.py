"""The chart's switches that people of other charts expect: each reaches what it says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from harness.errors import CommandError

from tests.chart.test_chart import CHART, Documents, Helm, helm, rendered

__all__ = ("helm",)

GATEWAY = "gateway.enabled=true,config.apiKeys.enabled=true"
PARTS = {
    "": ("Deployment", "video"),
    "gateway.": ("Deployment", "video-gateway"),
    "store.": ("StatefulSet", "video-store"),
}
"""What each part's values begin with, and what runs it."""

every_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: part or "operator")


def pod_of(documents: Documents, part: str) -> dict[str, Any]:
    pod: dict[str, Any] = documents[PARTS[part]]["spec"]["template"]
    return pod


def pods(documents: Documents) -> Iterator[dict[str, Any]]:
    """The templates of all that the chart runs."""
    for (kind, _), each in documents.items():
        if kind in ("Deployment", "StatefulSet"):
            yield each["spec"]["template"]
        if kind == "Pod":
            yield each


def with_values(helm: Helm, **values: Any) -> Documents:
    """Everything there is, with these values; `__` is a dot."""
    words = [
        word
        for name, value in values.items()
        for word in ("--set-json", f"{name.replace('__', '.')}={json.dumps(value)}")
    ]
    return rendered(helm, "--set", GATEWAY, *words)


def test_one_name_replaces_the_releases(helm: Helm) -> None:
    documents = with_values(helm, fullnameOverride="films")
    assert ("Deployment", "films") in documents
    assert ("StatefulSet", "films-store") in documents
    assert ("Deployment", "films-gateway") in documents
    assert not [name for _, name in documents if name.startswith("video") and "." not in name]
    config = yaml.safe_load(documents["ConfigMap", "films"]["data"]["config.yaml"])
    assert config["reportServer"]["url"] == "https://films-report.t2v-system.svc"
    assert ("Service", "films-report") in documents


def test_a_name_of_its_own_is_in_labels_and_selectors_alike(helm: Helm) -> None:
    documents = with_values(helm, nameOverride="films")
    names = {}
    for part, key in PARTS.items():
        selector = documents[key]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= pod_of(documents, part)["metadata"]["labels"].items()
        names[part] = selector["app.kubernetes.io/name"]
    assert names == {"": "films", "gateway.": "films-gateway", "store.": "films-store"}
    report = documents["Service", "video-report"]["spec"]["selector"]
    assert report["app.kubernetes.io/name"] == "films"


def test_no_part_is_selected_as_another(helm: Helm) -> None:
    documents = with_values(helm)
    for part, key in PARTS.items():
        selector = documents[key]["spec"]["selector"]["matchLabels"].items()
        selected = [
            each for each in pods(documents) if selector <= each["metadata"]["labels"].items()
        ]
        assert selected == [pod_of(documents, part)]


def test_labels_for_everything_are_on_everything_and_in_no_selector(helm: Helm) -> None:
    everything = with_values(
        helm,
        commonLabels={"team": "films"},
        metrics__rules__enabled=True,
        metrics__dashboard__enabled=True,
        metrics__serviceMonitor__enabled=True,
        networkPolicies={"enabled": True, "namespaces": ["a"]},
        ingress__enabled=True,
        gateway__autoscaling__enabled=True,
    )
    for key, each in everything.items():
        assert each["metadata"]["labels"].get("team") == "films", key
    for template in pods(everything):
        assert template["metadata"]["labels"]["team"] == "films"
    for name in ("store", "gateway"):
        assert "team" not in everything["Service", f"video-{name}"]["spec"]["selector"]
    (claim,) = everything["StatefulSet", "video-store"]["spec"]["volumeClaimTemplates"]
    assert "labels" not in claim["metadata"], "they could not change once it is installed"


def test_selectors_are_nobody_elses_to_set(helm: Helm) -> None:
    for name in ("commonLabels", "podLabels", "gateway.podLabels", "store.podLabels"):
        value = json.dumps({"app.kubernetes.io/name": "mine"})
        with pytest.raises(CommandError, match=name.replace(".", "/")):
            rendered(helm, "--set-json", f"{name}={value}")


@every_part
def test_each_part_has_labels_and_annotations_of_its_own(helm: Helm, part: str) -> None:
    documents = with_values(
        helm,
        commonLabels={"team": "all"},
        **{f"{part}podLabels": {"team": "films"}, f"{part}podAnnotations": {"note": "a"}},
    )
    metadata = pod_of(documents, part)["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]["note"]) == ("films", "a")
    others = [pod_of(documents, other)["metadata"] for other in PARTS if other != part]
    assert all(other["labels"]["team"] == "all" for other in others)
    assert all("note" not in other.get("annotations", {}) for other in others)


PLACES = {
    "priorityClassName": "important",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}


@every_part
def test_each_part_is_placed_by_its_own_values(helm: Helm, part: str) -> None:
    documents = with_values(helm, **{f"{part}{name}": value for name, value in PLACES.items()})
    for other in PARTS:
        spec = pod_of(documents, other)["spec"]
        placed = {name: spec.get(name) for name in PLACES}
        assert placed == (PLACES if other == part else dict.fromkeys(PLACES))


@pytest.mark.parametrize("part", ["", "gateway."], ids=["operator", "gateway"])
def test_replicas_are_spread_as_one_says(helm: Helm, part: str) -> None:
    zones = {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"matchLabels": {"a": "b"}}
    spread = [zones, {**zones, "labelSelector": selector}]
    documents = with_values(helm, **{f"{part}topologySpreadConstraints": spread})
    own = documents[PARTS[part]]["spec"]["selector"]
    assert pod_of(documents, part)["spec"]["topologySpreadConstraints"] == [
        {**zones, "labelSelector": own},
        {**zones, "labelSelector": selector},
    ]
    none = with_values(helm, **{f"{part}topologySpreadConstraints": []})
    assert "topologySpreadConstraints" not in pod_of(none, part)["spec"]


def test_old_revisions_are_bounded(helm: Helm) -> None:
    for limit, values in ((3, {}), (0, {"revisionHistoryLimit": 0})):
        documents = with_values(helm, **values)
        assert {documents[key]["spec"]["revisionHistoryLimit"] for key in PARTS.values()} == {limit}


@pytest.mark.parametrize("part", ["", "gateway."], ids=["operator", "gateway"])
def test_a_full_cluster_can_replace_a_pod_before_the_next_comes(helm: Helm, part: str) -> None:
    rolling = {"maxSurge": 0, "maxUnavailable": 1}
    documents = with_values(helm, **{f"{part}strategy.rollingUpdate": rolling})
    strategy = documents[PARTS[part]]["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": rolling}
    recreate = with_values(helm, **{f"{part}strategy": {"type": "Recreate", "rollingUpdate": None}})
    assert recreate[PARTS[part]]["spec"]["strategy"] == {"type": "Recreate"}


def test_more_volumes_are_the_operators_and_the_gateways(helm: Helm) -> None:
    volume = {"name": "authorities", "configMap": {"name": "authorities"}}
    mount = {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True}
    documents = with_values(
        helm,
        extraVolumes=[volume],
        extraVolumeMounts=[mount],
        env=[{"name": "SSL_CERT_DIR", "value": "/etc/authorities"}],
        envFrom=[{"secretRef": {"name": "bucket"}}],
    )
    for part in ("", "gateway."):
        spec = pod_of(documents, part)["spec"]
        (container,) = spec["containers"]
        assert volume in spec["volumes"]
        assert mount in container["volumeMounts"]
        assert {"name": "SSL_CERT_DIR", "value": "/etc/authorities"} in container["env"]
        assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    store = pod_of(documents, "store.")["spec"]
    assert "authorities" not in json.dumps(store), "it asks nobody, and nothing in it is a secret"


def test_every_pod_pulls_with_the_secrets_and_by_digest(helm: Helm) -> None:
    digest = f"sha256:{'a' * 64}"
    documents = with_values(
        helm, imagePullSecrets=[{"name": "registry"}], image={"tag": "main", "digest": digest}
    )
    for template in pods(documents):
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        for container in template["spec"]["containers"]:
            assert container["image"] == f"text-to-video-operator@{digest}"


def test_runners_pull_by_digest_and_with_secrets_of_their_own(helm: Helm) -> None:
    runner = {"image": f"registry/runner@sha256:{'b' * 64}", "pullSecrets": ["registry"]}
    documents = with_values(helm, config__runner=runner)
    config = yaml.safe_load(documents["ConfigMap", "video"]["data"]["config.yaml"])
    assert config["runner"] == runner


def test_every_pod_is_restricted_and_leaves_users_to_openshift(helm: Helm) -> None:
    for template in pods(with_values(helm)):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    documents = with_values(
        helm,
        podSecurityContext={"runAsUser": None, "runAsGroup": None},
        store__podSecurityContext={"fsGroup": None},
    )
    for template in pods(documents):
        context = template["spec"]["securityContext"]
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
        assert context["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("part", "name"), [("", "video"), ("gateway.", "video-gateway")], ids=["operator", "gateway"]
)
def test_a_service_account_may_be_somebody_elses(helm: Helm, part: str, name: str) -> None:
    annotated = with_values(helm, **{f"{part}serviceAccount.annotations": {"role": "videos"}})
    assert annotated["ServiceAccount", name]["metadata"]["annotations"] == {"role": "videos"}
    documents = with_values(helm, **{f"{part}serviceAccount": {"create": False, "name": "mine"}})
    assert ("ServiceAccount", name) not in documents
    assert ("ServiceAccount", "mine") not in documents
    assert pod_of(documents, part)["spec"]["serviceAccountName"] == "mine"
    bound = {
        subject["name"]
        for (kind, _), each in documents.items()
        if kind.endswith("Binding") and "subjects" in each
        for subject in each["subjects"]
    }
    assert "mine" in bound
    assert name not in bound, "nobody has that account's rights"


@pytest.mark.parametrize(
    "values",
    ["", "config.namespaces={films}", "store.service.type=NodePort", "config.kueue.enabled=true"],
    ids=["everywhere", "in a namespace", "addresses of nodes", "queues"],
)
def test_rights_may_be_somebody_elses_to_give(helm: Helm, values: str) -> None:
    words = ("--set", f"{GATEWAY},rbac.create=false", *(("--set", values) if values else ()))
    kinds = {kind for kind, _ in rendered(helm, *words)}
    assert not [kind for kind in kinds if "Role" in kind]
    assert {"ServiceAccount", "Deployment", "CustomResourceDefinition"} <= kinds


def test_more_objects_know_the_release(helm: Helm) -> None:
    name = '{{ include "t2v.name" . }}'
    documents = with_values(
        helm,
        extraObjects=[
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-map"}},
            f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}-text\n",
        ],
    )
    assert ("ConfigMap", "video-map") in documents
    assert ("Secret", "video-text") in documents


def test_the_schema_describes_every_value(helm: Helm) -> None:
    """None that is in values.yaml is free, and none that may be set is missing from it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def paths(schema: dict[str, Any], values: Any, path: str) -> Iterator[str]:
        if not schema.get("additionalProperties", True) and path != "config":
            for name, each in schema["properties"].items():
                if name not in values:
                    yield f"{path}.{name}"
                else:
                    yield from paths(each, values[name], f"{path}.{name}".strip("."))

    missing = set(paths(schema, values, ""))
    assert {each for each in missing if not each.startswith("gateway.config")} == {".global"}
