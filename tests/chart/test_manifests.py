"""What the chart renders, for every switch, is what Kubernetes takes, and what a linter advises."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.commands import run
from harness.errors import CommandError, HarnessError
from harness.go_programs import go_program
from t2v_operator.config import OperatorConfig
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition

from tests.chart.kubernetes_schemas import VERSIONS, schemas_of, schemas_of_crd, schemas_of_crds
from tests.chart.test_chart import CHART, ROOT, Helm, helm

__all__ = ("helm",)

EXAMPLES = sorted((ROOT / "examples" / "values").glob("*.yaml"))

GATEWAY = "gateway.enabled=true,config.apiKeys.enabled=true"
SWITCHES = {
    "another name": "fullnameOverride=films,nameOverride=movies",
    "labels": "commonLabels.team=films,podLabels.a=b,podAnnotations.a=b",
    "a digest": f"image.digest=sha256:{'a' * 64}",
    "pull secrets": "imagePullSecrets[0].name=registry",
    "no CRDs": "crds.install=false",
    "CRDs that go": "crds.keep=false",
    "one replica": "replicas=1",
    "no budget": "podDisruptionBudget.create=false",
    "recreated": "strategy.type=Recreate,strategy.rollingUpdate=null",
    "no roles": "rbac.create=false",
    "no ClusterRoles": "rbac.clusterRoles=false,config.namespaces={films},crds.install=false",
    "no admission policy": "admissionPolicy.enabled=false",
    "images that are rewritten": "admissionPolicy.images={mirror.example.com/}",
    "no account": "serviceAccount.create=false,serviceAccount.name=mine",
    "logs as text": "logFormat=text",
    "an environment": "env[0].name=A,env[0].value=b,envFrom[0].secretRef.name=c",
    "volumes": "extraVolumes[0].name=a,extraVolumes[0].configMap.name=a,"
    "extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/a",
    "placed": "priorityClassName=a,nodeSelector.a=b,tolerations[0].operator=Exists,"
    "store.priorityClassName=a,store.nodeSelector.a=b,store.tolerations[0].operator=Exists",
    "as OpenShift has it": "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,"
    "store.podSecurityContext.fsGroup=null",
    "namespaces": "config.namespaces={films,ads}",
    "no VideoModels": "config.videoModels=false",
    "a claim for models": "config.modelCache.kind=claim,config.modelCache.claimName=models",
    "models on nodes": "config.modelCache.kind=hostPath,config.modelCache.path=/var/models",
    "models on nodes that have ports": "config.modelCache.kind=hostPath,"
    "config.modelCache.path=/var/models,store.service.type=NodePort",
    "keys": "config.apiKeys.enabled=true",
    "keys elsewhere": "config.apiKeys.enabled=true,config.apiKeys.namespace=keys",
    "Kueue": "config.kueue.enabled=true",
    "pools that even out": "config.loadBalancing.reconsider=true",
    "a volume": "config.storage.kind=volume,config.storage.claimName=v,config.storage.url=http://v",
    "a bucket": "config.storage.kind=s3,config.storage.bucket=videos",
    "a claim that is there": "store.existingClaim=mine",
    "a class of storage": "store.storageClassName=fast",
    "a node's port": "store.service.type=NodePort,store.service.nodePort=30080",
    "a load balancer": "store.service.type=LoadBalancer",
    "an Ingress": "ingress.enabled=true,ingress.className=a,ingress.tlsSecret=b",
    "a route": "httpRoute.enabled=true,httpRoute.parentRefs[0].name=a",
    "a gateway": GATEWAY,
    "a gateway of one": f"{GATEWAY},gateway.replicas=1",
    "a gateway that scales": f"{GATEWAY},gateway.autoscaling.enabled=true",
    "a gateway behind an Ingress": f"{GATEWAY},gateway.ingress.enabled=true,"
    "gateway.ingress.tlsSecret=a",
    "a gateway behind a route": f"{GATEWAY},gateway.httpRoute.enabled=true,"
    "gateway.httpRoute.parentRefs[0].name=a",
    "a gateway for some": f"{GATEWAY},gateway.networkPolicy.enabled=true,"
    "gateway.networkPolicy.from[0].podSelector.matchLabels.a=b",
    "a gateway that changes models": f"{GATEWAY},gateway.mayChangeModels=true",
    "a gateway within namespaces": f"{GATEWAY},config.namespaces={{films,ads}}",
    "a gateway with a shared account": f"{GATEWAY},gateway.serviceAccount.create=false,"
    "gateway.serviceAccount.name=mine",
    "network policies": "networkPolicies.enabled=true,networkPolicies.namespaces={films}",
    "pod monitors": f"{GATEWAY},metrics.podMonitor.enabled=true",
    "service monitors": f"{GATEWAY},metrics.serviceMonitor.enabled=true",
    "rules": "metrics.rules.enabled=true,metrics.rules.runbookUrl=https://r.example.com",
    "a dashboard": "metrics.dashboard.enabled=true",
    "more objects": "extraObjects[0].apiVersion=v1,extraObjects[0].kind=ConfigMap,"
    "extraObjects[0].metadata.name=more",
}


def manifests(helm: Helm, *words: str | Path) -> str:
    return helm("template", "video", CHART, "--namespace", "t2v-system", *words)


@pytest.fixture(scope="module")
def switched(helm: Helm) -> dict[str, str]:
    """The chart with each switch alone, with none, and as the examples have it."""
    return {
        "nothing": manifests(helm),
        **{name: manifests(helm, "--set", values) for name, values in SWITCHES.items()},
        **{file.name: manifests(helm, "--values", file) for file in EXAMPLES},
    }


@pytest.fixture(scope="module")
def own_schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    for of in CUSTOM_KINDS:
        for name, schema in schemas_of_crd(custom_resource_definition(of)).items():
            (folder / f"{name}.json").write_text(json.dumps(schema))
    return folder


def conforms(folders: Sequence[Path], text: str) -> dict[str, Any]:
    """What kubeconform says of the manifests. Raises CommandError where one does not."""
    locations = [f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json" for folder in folders]
    words = [word for location in locations for word in ("-schema-location", location)]
    told = run(
        [go_program("kubeconform"), "-strict", "-summary", "-output", "json", *words], stdin=text
    )
    summary: dict[str, Any] = json.loads(told)["summary"]
    return summary


def schemas(version: str) -> list[Path]:
    try:
        go_program("kubeconform")
        return [schemas_of(version), schemas_of_crds()]
    except HarnessError as error:
        pytest.skip(f"no kubeconform, or no schemas of {version}: {error}")


def booleans(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, bool):
            yield f"{before}{name}"
        if isinstance(value, dict):
            yield from booleans(value, f"{before}{name}.")


def test_every_switch_is_tried() -> None:
    """But for `crds.takeOver`, which needs a cluster: test_whose_crd.py."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    switches = {each for each in booleans(values) if "ecurityContext." not in each}
    tried = ",".join(SWITCHES.values())
    assert {each for each in switches if f"{each}=" not in tried} == {"crds.takeOver"}


def test_every_switch_changes_something(switched: dict[str, str]) -> None:
    same = [name for name, text in switched.items() if text == switched["nothing"]]
    assert same == ["nothing"]


def test_no_object_stands_twice(switched: dict[str, str]) -> None:
    for name, text in switched.items():
        objects = [
            (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
            for each in yaml.safe_load_all(text)
            if each
        ]
        assert len(objects) == len(set(objects)), name


@pytest.mark.parametrize("version", VERSIONS)
def test_all_of_it_is_what_kubernetes_takes(
    switched: dict[str, str], own_schemas: Path, version: str
) -> None:
    summary = conforms([*schemas(version), own_schemas], "\n---\n".join(switched.values()))
    assert summary["valid"] > 1000
    assert (summary["invalid"], summary["errors"], summary["skipped"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("revisionHistoryLimit", "many"), ("replica", 2)],
    ids=["another type", "no such field"],
)
def test_what_kubernetes_would_refuse_is_noticed(
    switched: dict[str, str], field: str, wrong: Any
) -> None:
    documents = [each for each in yaml.safe_load_all(switched["nothing"]) if each]
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    deployment["spec"][field] = wrong
    with pytest.raises(CommandError, match=field):
        conforms(schemas(VERSIONS[0]), yaml.safe_dump(deployment))


def test_examples_of_resources_are_what_the_crds_say(own_schemas: Path, helm: Helm) -> None:
    files = [*(ROOT / "examples").glob("*.yaml"), *(ROOT / "models" / "catalogue").glob("*.yaml")]
    schemas(VERSIONS[0])
    summary = conforms([own_schemas], "\n---\n".join(file.read_text() for file in files))
    assert summary["valid"] >= len(files)
    assert (summary["invalid"], summary["errors"], summary["skipped"]) == (0, 0, 0)


NOT_FOLLOWED = {
    "container-image-pull-policy": "Always pulls what a digest or a version has fixed: a value",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints say it",
    "statefulset-has-servicename": "one replica, which nobody calls by its pod's name",
    "pod-probes-identical": "the store depends on nothing that it could wait for",
    "container-ephemeral-storage-request-and-limit": "nothing is written but logs",
}
"""Advice of kube-score, and why not. CPU has no limit: it would only slow work on an idle node."""


def advice(text: str) -> set[tuple[str, str]]:
    """What kube-score finds: the object and the check."""
    ignored = [word for name in NOT_FOLLOWED for word in ("--ignore-test", name)]
    words = ["score", "--output-format", "json", "--ignore-container-cpu-limit", *ignored, "-"]
    program = go_program("kube-score")
    try:
        told = run([program, *words], stdin=text)
    except CommandError as found:
        told = found.output
    return {
        (each["object_name"], check["check"]["id"])
        for each in json.loads(told)
        for check in each["checks"] or ()
        if not check["skipped"] and check["grade"] < 10
    }


LINTED = f"{GATEWAY},gateway.networkPolicy.enabled=true,networkPolicies.enabled=true"


def test_a_linters_advice_is_followed_or_answered(helm: Helm) -> None:
    """With network policies on, which need a network that enforces them."""
    text = manifests(
        helm, "--skip-tests", "--set", f"{LINTED},networkPolicies.namespaces={{films}}"
    )
    assert advice(text) == {
        # What they reach (API server, webhooks, buckets) has addresses that no chart knows.
        ("Deployment/apps/v1/t2v-system/video", "pod-networkpolicy"),
        ("Deployment/apps/v1/t2v-system/video-gateway", "pod-networkpolicy"),
        # These pods are the operator's to make.
        ("NetworkPolicy/networking.k8s.io/v1/films/video-runners", "networkpolicy-targets-pod"),
        (
            "NetworkPolicy/networking.k8s.io/v1/t2v-system/video-prefetches",
            "networkpolicy-targets-pod",
        ),
    }


def test_a_linters_advice_is_noticed(helm: Helm) -> None:
    text = manifests(helm, "--set", "securityContext.readOnlyRootFilesystem=false")
    found = {check for _, check in advice(text)}
    assert "container-security-context-readonlyrootfilesystem" in found


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_of_values_is_one_that_the_operator_takes(helm: Helm, file: Path) -> None:
    documents = [each for each in yaml.safe_load_all(manifests(helm, "--values", file)) if each]
    (config,) = (
        each["data"]["config.yaml"]
        for each in documents
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "video"
    )
    parsed = OperatorConfig.parse(yaml.safe_load(config))
    written = yaml.safe_load(file.read_text())["config"]
    assert [pool.name for pool in parsed.pools] == [pool["name"] for pool in written["pools"]]
