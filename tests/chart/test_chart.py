"""The chart: what it renders, and what values it refuses. With the real helm."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.commands import run
from harness.errors import CommandError, HarnessError
from harness.go_programs import go_program, has_go
from t2v_operator.cli.doctor.installation import CONTAINER, PART_OF
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.crd import CUSTOM_KINDS, CustomKind

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "text-to-video-operator"
CLUSTER_NAME = "video.t2v-system"
"""Begins the names of what is in no namespace."""

Helm = Callable[..., str]
Documents = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def helm() -> Helm:
    if not has_go():
        pytest.skip("no helm: it is built with Go, which is not here, and neither is pip")
    try:
        program = go_program("helm")
    except HarnessError as error:
        pytest.skip(f"no helm: {error}")

    def call(*words: str | Path) -> str:
        return run([program, *words])

    return call


def rendered(helm: Helm, *words: str) -> Documents:
    release = ("template", "video", CHART, "--namespace", "t2v-system", "--skip-tests")
    text = helm(*release, *words)
    documents = [each for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def test_lint_finds_nothing(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


def test_the_default_values_are_the_documented_configuration(helm: Helm) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    documented = load_config(None).document()
    del documented["storage"]
    config_map = the_config(rendered(helm))
    assert config_map.pop("leaderElection") == {"name": "video"}
    assert config_map.pop("reportServer") == {
        "url": "https://video-report.t2v-system.svc",
        "secret": "video-report",
        "audience": "video.t2v-system",
    }
    assert config_map.pop("webhooks") == {"secret": "video-webhooks"}
    assert config_map.pop("gatewaySecret") == "video-gateway"
    assert config_map.pop("storage") == {
        "kind": "embedded",
        "url": "http://localhost:8080",
        "internalUrl": "http://video-store.t2v-system.svc:8080",
        "keysSecret": "video-store",
    }
    assert values["config"].pop("storage") == {"kind": "embedded"}
    assert config_map == values["config"]
    volume = {"kind": "volume", "claimName": "videos", "url": "http://videos.example.com"}
    parsed = OperatorConfig.parse({**config_map, "storage": volume}).document()
    del parsed["storage"]
    assert parsed == documented


VOLUME = "config.storage.kind=volume,config.storage.claimName=videos,config.storage.url=http://v.x"
BUCKET = "config.storage.kind=s3,config.storage.bucket=videos"
WITH_GATEWAY = "gateway.enabled=true,config.apiKeys.enabled=true"


def the_config(documents: Documents) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(documents["ConfigMap", "video"]["data"]["config.yaml"])
    return config


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ("ingress.enabled=true,ingress.host=v.example.com", "http://v.example.com"),
        (
            "ingress.enabled=true,ingress.host=v.example.com,ingress.tlsSecret=t",
            "https://v.example.com",
        ),
        ("httpRoute.enabled=true,httpRoute.hostname=v.example.com", "https://v.example.com"),
        ("config.storage.url=http://10.0.0.1:30080", "http://10.0.0.1:30080"),
    ],
)
def test_links_begin_with_the_address_that_browsers_reach(
    helm: Helm, values: str, url: str
) -> None:
    assert the_config(rendered(helm, "--set", values))["storage"]["url"] == url


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_a_service_with_an_address_of_its_own_gives_it_to_links(helm: Helm, kind: str) -> None:
    documents = rendered(helm, "--set", f"store.service.type={kind}")
    storage = OperatorConfig.parse(the_config(documents)).storage.document()
    assert (storage["service"], storage["url"]) == ("video-store", "http://localhost:8080")
    role = documents["Role", "video-store-address"]
    assert role["metadata"]["namespace"] == "t2v-system"
    (rule,) = role["rules"]
    assert rule["resourceNames"] == ["video-store"]
    assert (rule["resources"], rule["verbs"]) == (["services"], ["get"])
    nodes = documents.get(("ClusterRole", f"{CLUSTER_NAME}:store-address"), {"rules": []})
    may = [(rule["resources"], rule["verbs"]) for rule in nodes["rules"]]
    assert may == ([(["nodes"], ["list"])] if kind == "NodePort" else [])


def test_who_makes_links_may_read_where_the_store_is(helm: Helm) -> None:
    """The gateway too; and a cache on each node has a role of its own."""
    values = f"store.service.type=NodePort,{WITH_GATEWAY},{ON_NODES}"
    documents = rendered(helm, "--set", values)
    subjects = documents["ClusterRoleBinding", f"{CLUSTER_NAME}:store-address"]["subjects"]
    assert [each["name"] for each in subjects] == ["video", "video-gateway"]
    assert documents["ClusterRole", f"{CLUSTER_NAME}:nodes"]["rules"][0]["verbs"] == [
        "list",
        "watch",
    ]


@pytest.mark.parametrize(
    "values",
    [
        "store.service.type=ClusterIP",
        "store.service.type=NodePort,config.storage.url=http://v.example.com",
        "store.service.type=NodePort,ingress.enabled=true",
        "store.service.type=LoadBalancer,httpRoute.enabled=true",
    ],
)
def test_whose_address_is_known_needs_no_right_to_read_it(helm: Helm, values: str) -> None:
    documents = rendered(helm, "--set", values)
    assert "service" not in the_config(documents)["storage"]
    assert ("Role", "video-store-address") not in documents
    assert ("ClusterRole", f"{CLUSTER_NAME}:store-address") not in documents


@pytest.mark.parametrize("values", [VOLUME, BUCKET], ids=["volume", "bucket"])
def test_the_store_is_installed_where_it_is_used_alone(helm: Helm, values: str) -> None:
    assert ("StatefulSet", "video-store") in rendered(helm)
    documents = rendered(helm, "--set", values)
    assert not any("store" in name for _, name in documents)
    assert "keysSecret" not in the_config(documents)["storage"]
    storage = the_config(documents)["storage"]
    parsed = OperatorConfig.parse(the_config(documents)).storage.document()
    assert parsed == parsed | storage


def test_the_store_has_no_rights_and_keeps_its_claim(helm: Helm) -> None:
    store = rendered(helm)["StatefulSet", "video-store"]["spec"]
    pod = store["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert "persistentVolumeClaimRetentionPolicy" not in store
    (claim,) = store["volumeClaimTemplates"]
    assert "storageClassName" not in claim["spec"]
    named = rendered(helm, "--set", "store.storageClassName=fast,store.size=1Ti")
    (claim,) = named["StatefulSet", "video-store"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    existing = rendered(helm, "--set", "store.existingClaim=mine")
    assert "volumeClaimTemplates" not in existing["StatefulSet", "video-store"]["spec"]


def test_of_secrets_it_may_read_its_own(helm: Helm) -> None:
    create, renewed, rest = rendered(helm)["Role", "video-secrets"]["rules"]
    assert (create["resources"], create["verbs"]) == (["secrets"], ["create"])
    assert (renewed["resourceNames"], renewed["verbs"]) == (["video-report"], ["get", "update"])
    assert rest["resourceNames"] == ["video-webhooks", "video-store"]
    assert rest["verbs"] == ["get"]
    _, _, rest = rendered(helm, "--set", BUCKET)["Role", "video-secrets"]["rules"]
    assert rest["resourceNames"] == ["video-webhooks"]


def test_network_policies_need_the_namespaces_and_are_one_for_each(helm: Helm) -> None:
    with pytest.raises(CommandError, match=r"networkPolicies\.namespaces"):
        rendered(helm, "--set", "networkPolicies.enabled=true")
    documents = rendered(
        helm, "--set", "networkPolicies.enabled=true,networkPolicies.namespaces={films}"
    )
    policy = documents["NetworkPolicy", "video-runners"]
    assert policy["metadata"]["namespace"] == "films"
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (internet,) = (
        rule
        for rule in policy["spec"]["egress"]
        if any("ipBlock" in to for to in rule.get("to", ()))
    )
    assert "169.254.0.0/16" in internet["to"][0]["ipBlock"]["except"]
    assert "except" not in internet["to"][1]["ipBlock"]
    documents = rendered(
        helm,
        *("--set", "networkPolicies.enabled=true,networkPolicies.namespaces={films}"),
        *("--set", "networkPolicies.internalRanges={10.0.0.0/8,fd00::/8,2600:1f00::/24}"),
    )
    egress = documents["NetworkPolicy", "video-runners"]["spec"]["egress"]
    four, six = next(r["to"] for r in egress if any("ipBlock" in t for t in r.get("to", ())))
    assert (four["ipBlock"]["except"], six["ipBlock"]["except"]) == (
        ["10.0.0.0/8"],
        ["2600:1f00::/24"],
    )


def test_values_of_the_release_before_are_refused_with_what_to_do(helm: Helm) -> None:
    with pytest.raises(CommandError, match=r"config\.storage\.kind=volume"):
        rendered(helm, "--set", "config.storage.claimName=videos", "--skip-schema-validation")


def test_values_of_an_earlier_chart_alone_are_refused_with_what_to_do(helm: Helm) -> None:
    with pytest.raises(HarnessError, match="--reset-then-reuse-values"):
        helm("template", "video", CHART, "--set", "commonLabels=null")


def test_a_long_release_name_leaves_room_for_what_kubernetes_adds(helm: Helm) -> None:
    text = helm("template", "n" * 53, CHART, "--namespace", "t2v-system")
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(text) if each]
    store = next(each for each in names if each.endswith("-store"))
    assert len(store) <= 52


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('config.runner.pullPolicy="Sometimes"', "/config/runner/pullPolicy"),
        ('config.models=[{"id": ""}]', "/config/models/0/id"),
        ("config.pools=[]", "/config/pools"),
        ('config.storage.url="nowhere"', "/config/storage/url"),
        ('config.storge.url="typo"', "/config"),
        ('image.pullPolicy="Sometimes"', "/image/pullPolicy"),
        ('image.digest="latest"', "/image/digest"),
        ('logFormat="xml"', "/logFormat"),
        ("replicaCount=2", "replicaCount"),
        ("replicas=0", "/replicas"),
        ("config.jobs.nodeLostSeconds=-1", "/config/jobs/nodeLostSeconds"),
        ('fullnameOverride="Films"', "/fullnameOverride"),
        (f'nameOverride="{"n" * 53}"', "/nameOverride"),
        ('strategy.type="Never"', "/strategy/type"),
        ("revisionHistoryLimit=-1", "/revisionHistoryLimit"),
        ("extraObjects=[3]", "/extraObjects/0"),
        ('store.serviceAccount.name="a"', "/store"),
        ('serviceAccount.create="yes"', "/serviceAccount/create"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(helm: Helm, value: str, path: str) -> None:
    with pytest.raises(CommandError) as refusal:
        helm("template", "video", CHART, "--set-json", value)
    assert path in str(refusal.value)


def test_the_operator_may_do_what_it_needs_and_no_more(helm: Helm) -> None:
    rules = rendered(helm)["ClusterRole", CLUSTER_NAME]["rules"]
    may = {
        f"{verb} {what}" for rule in rules for what in rule["resources"] for verb in rule["verbs"]
    }
    assert not any("*" in right or "secrets" in right or "exec" in right for right in may)
    assert {"update texttovideojobs/status", "delete texttovideojobs"} <= may
    assert not {"update texttovideojobs", "create texttovideojobs", "create pods"} & may
    assert not any("workloads" in right or "leases" in right for right in may)


def test_doctor_finds_an_installation_of_another_name(helm: Helm) -> None:
    documents = rendered(helm, "--set", "nameOverride=movies,fullnameOverride=films")
    key, _, value = PART_OF.partition("=")
    found = {
        name: [each["name"] for each in document["spec"]["template"]["spec"]["containers"]]
        for name, document in documents.items()
        if name[0] in ("Deployment", "StatefulSet") and document["metadata"]["labels"][key] == value
    }
    assert found == {
        ("Deployment", "films"): [CONTAINER],
        ("StatefulSet", "films-store"): ["store"],
    }


POLICY = "ValidatingAdmissionPolicy"


def test_policies_are_in_force_for_the_operators_account_alone(helm: Helm) -> None:
    documents = rendered(helm, "--set", "serviceAccount.name=painter")
    policies = {name: each["spec"] for (kind, name), each in documents.items() if kind == POLICY}
    names = ("new-jobs", "own-jobs", "own-secrets", "specs")
    assert set(policies) == {f"{CLUSTER_NAME}-{each}" for each in names}
    for name, spec in policies.items():
        (condition,) = spec["matchConditions"]
        assert condition["expression"].endswith('"system:serviceaccount:t2v-system:painter"')
        assert spec["failurePolicy"] == "Fail"
        binding = documents[f"{POLICY}Binding", name]["spec"]
        assert binding == {"policyName": name, "validationActions": ["Deny"]}


@pytest.mark.parametrize(
    "words",
    [("--set", "admissionPolicy.enabled=false"), ("--kube-version", "1.29.0")],
    ids=["switched off", "before Kubernetes 1.30"],
)
def test_there_may_be_no_policies(helm: Helm, words: tuple[str, ...]) -> None:
    assert not [kind for kind, _ in rendered(helm, *words) if kind.startswith(POLICY)]


def test_the_lease_is_the_only_right_in_the_releases_namespace(helm: Helm) -> None:
    documents = rendered(helm)
    create, rest = documents["Role", f"{CLUSTER_NAME}:lease"]["rules"]
    assert (create["resources"], create["verbs"]) == (["leases"], ["create"])
    assert (rest["resourceNames"], rest["verbs"]) == (["video"], ["get", "update"])
    named = rendered(
        helm, "--set", "config.leaderElection.name=one,config.leaderElection.namespace=x"
    )
    role = named["Role", f"{CLUSTER_NAME}:lease"]
    assert role["metadata"]["namespace"] == "x"
    assert role["rules"][1]["resourceNames"] == ["one"]
    config_map = yaml.safe_load(named["ConfigMap", "video"]["data"]["config.yaml"])
    assert config_map["leaderElection"] == {"name": "one", "namespace": "x"}


def test_the_language_models_key_may_be_read_and_nothing_more(helm: Helm) -> None:
    section = {"url": "http://llm.ai.svc/v1", "model": "m", "keySecret": {"name": "llm"}}
    documents = rendered(helm, "--set-json", f"config.promptEnhancement={json.dumps(section)}")
    *_, rule = documents["Role", "video-secrets"]["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["llm"], ["get"])
    assert len(rendered(helm)["Role", "video-secrets"]["rules"]) == 3
    assert the_config(documents)["promptEnhancement"] == section


def test_rights_on_secrets_come_with_api_keys_alone(helm: Helm) -> None:
    documents = rendered(helm, "--set", "config.apiKeys.enabled=true,config.namespaces={team-a}")
    assert ("Role", "video-keys") not in rendered(helm)
    (anywhere,) = (
        each for each in documents["Role", "video"]["rules"] if "secrets" in each["resources"]
    )
    assert (anywhere["verbs"], "resourceNames" in anywhere) == (["get"], False)
    _, _, own = documents["Role", "video-secrets"]["rules"]
    (keys,) = documents["Role", "video-keys"]["rules"]
    assert own["resourceNames"] == ["video-webhooks", "video-store", "video-gateway"]
    assert (keys["resources"], keys["verbs"]) == (["secrets"], ["list", "watch"])
    assert the_config(documents)["apiKeys"]["enabled"] is True


def test_a_gateway_needs_keys_and_shares_the_secret_that_signs(helm: Helm) -> None:
    with pytest.raises(CommandError, match=r"config\.apiKeys\.enabled"):
        rendered(helm, "--set", "gateway.enabled=true")
    documents = rendered(helm, "--set", "gateway.enabled=true,config.apiKeys.enabled=true")
    (one,) = documents["Role", "video-gateway-secrets"]["rules"]
    assert one["resourceNames"] == [the_config(documents)["gatewaySecret"], "video-store"]
    assert one["verbs"] == ["get"]


@pytest.mark.parametrize(
    ("values", "namespace"), [([], "t2v-system"), (["config.apiKeys.namespace=keys"], "keys")]
)
def test_secrets_are_listed_where_keys_are_alone(
    helm: Helm, values: list[str], namespace: str
) -> None:
    enabled = "gateway.enabled=true,config.apiKeys.enabled=true"
    documents = rendered(helm, "--set", ",".join((enabled, *values)))
    listing = {
        (each["metadata"]["namespace"], name)
        for (_, name), each in documents.items()
        for rule in each.get("rules", ())
        if "secrets" in rule["resources"] and "list" in rule["verbs"]
    }
    assert listing == {(namespace, "video-keys"), (namespace, "video-gateway-keys")}
    for name, account in (("video-keys", "video"), ("video-gateway-keys", "video-gateway")):
        binding = documents["RoleBinding", name]
        assert binding["metadata"]["namespace"] == namespace
        assert binding["subjects"][0]["name"] == account
        assert binding["subjects"][0]["namespace"] == "t2v-system"


def test_a_gateway_changes_models_where_that_is_allowed_alone(helm: Helm) -> None:
    enabled = "gateway.enabled=true,config.apiKeys.enabled=true"
    name = "ClusterRole", f"{CLUSTER_NAME}:gateway-models"
    (rule,) = rendered(helm, "--set", enabled)[name]["rules"]
    assert rule["verbs"] == ["list", "watch"]
    allowed = rendered(helm, "--set", f"{enabled},gateway.mayChangeModels=true")
    (rule,) = allowed[name]["rules"]
    assert rule["verbs"] == ["list", "watch", "get", "create", "update", "delete"]


def test_rights_on_workloads_come_with_kueue_alone(helm: Helm) -> None:
    documents = rendered(helm, "--set", "config.kueue.enabled=true")
    rules = documents["ClusterRole", CLUSTER_NAME]["rules"]
    (rule,) = (each for each in rules if each["apiGroups"] == ["kueue.x-k8s.io"])
    assert (rule["resources"], rule["verbs"]) == (["workloads"], ["list", "watch", "patch"])
    assert ("ClusterRole", f"{CLUSTER_NAME}:queue-priorities") in documents


def test_two_replicas_are_spread_and_one_always_stays(helm: Helm) -> None:
    documents = rendered(helm)
    deployment = documents["Deployment", "video"]["spec"]
    assert deployment["replicas"] == 2
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"] == deployment["selector"]["matchLabels"]
    assert documents["PodDisruptionBudget", "video"]["spec"]["minAvailable"] == 1
    assert ("PodDisruptionBudget", "video") not in rendered(helm, "--set", "replicas=1")


def test_named_namespaces_need_no_rights_elsewhere(helm: Helm) -> None:
    documents = rendered(helm, "--set", "config.namespaces={team-a,team-b}")
    assert ("ClusterRole", CLUSTER_NAME) not in documents
    assert ("ClusterRoleBinding", CLUSTER_NAME) not in documents
    assert documents["Role", "video"]["metadata"]["namespace"] == "team-b"
    events = documents["Role", f"{CLUSTER_NAME}:model-events"]
    assert events["metadata"]["namespace"] == "default"
    assert events["rules"] == [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]
    assert ("Role", f"{CLUSTER_NAME}:model-events") not in rendered(helm)


IN_NAMESPACES = (
    "rbac.clusterRoles=false",
    "config.namespaces={team-a,team-b}",
    "crds.install=false",
    "config.kueue.enabled=true",
    WITH_GATEWAY,
)
IN_A_NAMESPACE = {
    *("Role", "RoleBinding", "ServiceAccount", "ConfigMap", "Service", "Deployment", "StatefulSet"),
    *("PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "HorizontalPodAutoscaler"),
}


def without_cluster_roles(helm: Helm, *values: str) -> Documents:
    words = [word for value in (*IN_NAMESPACES, *values) for word in ("--set", value)]
    return rendered(helm, *words)


def test_without_cluster_roles_nothing_is_outside_of_namespaces(helm: Helm) -> None:
    documents = without_cluster_roles(
        helm, "networkPolicies.enabled=true", "metrics.podMonitor.enabled=true"
    )
    assert {kind for kind, _ in documents} <= IN_A_NAMESPACE
    places = {each["metadata"].get("namespace") for each in documents.values()}
    assert places <= {"t2v-system", "team-a", "team-b"}
    config = the_config(documents)
    assert config["videoModels"] is False
    assert config["reportServer"]["tokenReview"] is False
    assert not OperatorConfig.parse(config).report_server.token_review


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("config.videoModels=true", "config.videoModels"),
        ("config.modelCache.kind=claim,config.modelCache.claimName=m", "config.modelCache"),
        ("config.reportServer.tokenReview=true", "tokenReview"),
        ("store.service.type=NodePort", "config.storage.url"),
        ("gateway.mayChangeModels=true", "mayChangeModels"),
    ],
)
def test_what_takes_a_right_in_the_whole_cluster_is_refused_without(
    helm: Helm, value: str, complaint: str
) -> None:
    with pytest.raises(CommandError, match=rf"rbac\.clusterRoles is false: .*{complaint}"):
        without_cluster_roles(helm, value)


def test_without_cluster_roles_the_namespaces_have_to_be_named(helm: Helm) -> None:
    with pytest.raises(CommandError, match=r"name the namespaces .* in config\.namespaces"):
        rendered(helm, "--set", "rbac.clusterRoles=false")


def test_the_operator_runs_restricted(helm: Helm) -> None:
    pod = rendered(helm)["Deployment", "video"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ([], "text-to-video-operator:0.2.0"),
        (["--set", "image.tag=main"], "text-to-video-operator:main"),
        (["--set", f"image.digest=sha256:{'a' * 64}"], f"text-to-video-operator@sha256:{'a' * 64}"),
    ],
    ids=["the chart's version", "a tag", "a digest"],
)
def test_the_image_is_named_by_tag_or_digest(helm: Helm, values: list[str], image: str) -> None:
    pod = rendered(helm, *values)["Deployment", "video"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == image


CLAIM = "config.modelCache.kind=claim,config.modelCache.claimName=models"
EVERYTHING = f"store.service.type=NodePort,config.kueue.enabled=true,{CLAIM}"


def test_two_releases_of_one_name_share_nothing_but_the_crd(helm: Helm) -> None:
    releases = [("video", "a"), ("video", "b"), ("video.a", "b"), ("video-a", "b"), ("n" * 53, "a")]
    names = []
    for release, namespace in releases:
        text = helm("template", release, CHART, "--namespace", namespace, "--set", EVERYTHING)
        names += [
            (each["kind"], each["metadata"]["name"])
            for each in yaml.safe_load_all(text)
            if each and "namespace" not in each["metadata"]
        ]
    crds = {("CustomResourceDefinition", of.name) for of in CUSTOM_KINDS}
    assert {each for each in names if names.count(each) > 1} == crds


def test_each_binding_names_a_role_that_is_there_and_the_operators_account(helm: Helm) -> None:
    documents = rendered(helm, "--set", EVERYTHING)
    bindings = [each for (kind, _), each in documents.items() if kind.endswith("RoleBinding")]
    assert len(bindings) == 9
    for binding in bindings:
        role = binding["roleRef"]
        assert (role["kind"], role["name"]) in documents
        (account,) = binding["subjects"]
        assert (account["name"], account["namespace"]) == ("video", "t2v-system")


def test_models_are_read_everywhere_and_fetched_in_the_releases_namespace(helm: Helm) -> None:
    documents = rendered(helm, "--set", CLAIM)
    models, status, _ = documents["ClusterRole", f"{CLUSTER_NAME}:models"]["rules"]
    assert (models["resources"], models["verbs"]) == (
        ["videomodels"],
        ["get", "list", "watch", "patch"],
    )
    assert (status["resources"], status["verbs"]) == (["videomodels/status"], ["update"])
    jobs, *pods = documents["Role", "video-prefetch"]["rules"]
    assert [(each["resources"], each["verbs"][-1]) for each in pods] == [
        (["pods"], "delete"),
        (["pods/status"], "patch"),
    ]
    assert (jobs["resources"], "create" in jobs["verbs"]) == (["jobs"], True)
    assert ("Role", "video-prefetch") not in rendered(helm), "without a cache nothing is fetched"
    without = rendered(helm, "--set", f"{CLAIM},config.videoModels=false")
    assert ("ClusterRole", f"{CLUSTER_NAME}:models") not in without
    assert ("Role", "video-prefetch") not in without


ON_NODES = "config.modelCache.kind=hostPath,config.modelCache.path=/var/lib/models"


def test_nodes_are_read_only_where_each_has_a_cache_of_its_own(helm: Helm) -> None:
    role = ("ClusterRole", f"{CLUSTER_NAME}:nodes")
    documents = rendered(helm, "--set", ON_NODES)
    (nodes,) = documents[role]["rules"]
    assert (nodes["resources"], nodes["verbs"]) == (["nodes"], ["list", "watch"])
    binding = documents["ClusterRoleBinding", f"{CLUSTER_NAME}:nodes"]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == role
    assert binding["subjects"][0]["name"] == "video"
    assert ("Role", "video-prefetch") in documents
    for others in (CLAIM, f"{ON_NODES},config.videoModels=false"):
        others_documents = rendered(helm, "--set", others)
        assert role not in others_documents
        rules = [r for d in others_documents.values() for r in d.get("rules", ())]
        assert not any("nodes" in rule["resources"] for rule in rules)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("config.modelCache.kind=hostPath,config.modelCache.path=models", "path"),
        ("config.modelCache.kind=folder", "kind"),
        ("config.models[0].source.pullPolicy=Sometimes", "pullPolicy"),
    ],
    ids=["no absolute path", "no such kind", "no such pull policy"],
)
def test_the_values_say_what_a_model_may_come_from(helm: Helm, values: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        rendered(helm, "--set", values)


@pytest.mark.parametrize("of", CUSTOM_KINDS, ids=lambda of: of.kind)
def test_the_crd_can_be_left_out_and_is_kept_by_default(helm: Helm, of: CustomKind) -> None:
    name = ("CustomResourceDefinition", of.name)
    crd = rendered(helm)[name]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    original = yaml.safe_load((ROOT / "crds" / f"{name[1]}.yaml").read_text())
    assert json.dumps(crd["spec"], sort_keys=True) == json.dumps(original["spec"], sort_keys=True)
    assert name not in rendered(helm, "--set", "crds.install=false")


def monitoring(helm: Helm, *values: str) -> Documents:
    """What `values` of `metrics` bring beside the rest."""
    switched = [word for value in values for word in ("--set", f"metrics.{value}")]
    before = rendered(helm, "--set", WITH_GATEWAY)
    after = rendered(helm, "--set", WITH_GATEWAY, *switched)
    return {key: each for key, each in after.items() if before.get(key) != each}


def test_nothing_of_the_prometheus_operator_is_needed_by_default(helm: Helm) -> None:
    kinds = {kind for kind, _ in rendered(helm, "--set", WITH_GATEWAY)}
    assert not kinds & {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    assert not [name for _, name in rendered(helm) if "dashboard" in name]


def test_pods_are_monitored_at_a_port_that_they_have(helm: Helm) -> None:
    made = monitoring(helm, "podMonitor.enabled=true", "podMonitor.labels.release=prometheus")
    assert set(made) == {("PodMonitor", "video"), ("PodMonitor", "video-gateway")}
    everything = rendered(helm, "--set", WITH_GATEWAY)
    for (_, name), monitor in made.items():
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        template = everything["Deployment", name]["spec"]["template"]
        selected = monitor["spec"]["selector"]["matchLabels"]
        assert selected.items() <= template["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ports = [p["name"] for c in template["spec"]["containers"] for p in c["ports"]]
        assert endpoint["port"] in ports


def test_a_service_monitor_has_a_service_that_it_alone_selects(helm: Helm) -> None:
    made = monitoring(helm, "serviceMonitor.enabled=true")
    assert {kind for kind, _ in made} == {"Service", "ServiceMonitor"}
    everything = rendered(
        helm, "--set", WITH_GATEWAY, "--set", "metrics.serviceMonitor.enabled=true"
    )
    services = {name: each for (kind, name), each in everything.items() if kind == "Service"}
    for name in ("video", "video-gateway"):
        wanted = made["ServiceMonitor", name]["spec"]["selector"]["matchLabels"].items()
        found = [n for n, each in services.items() if wanted <= each["metadata"]["labels"].items()]
        assert found == [f"{name}-metrics"]
        service, template = services[found[0]], everything["Deployment", name]["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def test_two_monitors_would_count_everything_twice(helm: Helm) -> None:
    both = "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true"
    with pytest.raises(CommandError, match="twice"):
        rendered(helm, "--set", both)


def test_the_rules_are_those_of_the_file_but_for_what_is_switched_off(helm: Helm) -> None:
    groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    made = monitoring(helm, "rules.enabled=true")
    assert made["PrometheusRule", "video"]["spec"]["groups"] == groups
    assert len(made) == 1
    less = monitoring(
        helm,
        "rules.enabled=true",
        "rules.disabled={T2VGatewayErrors,T2VGatewaySlow,T2VOutputsLeft}",
        "rules.runbookUrl=https://ops.example.com/runbook",
    )["PrometheusRule", "video"]["spec"]["groups"]
    rules = [rule for group in less for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in groups) - 3
    assert "text-to-video-operator.gateway" not in [group["name"] for group in less]
    urls = [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule]
    assert all(url.startswith("https://ops.example.com/runbook#t2v") for url in urls)


def test_the_dashboard_is_where_grafanas_sidecar_looks(helm: Helm) -> None:
    made = monitoring(helm, "dashboard.enabled=true", "dashboard.namespace=monitoring")
    ((key, found),) = made.items()
    assert key == ("ConfigMap", "video-dashboard")
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    (text,) = found["data"].values()
    assert json.loads(text) == json.loads((CHART / "files" / "dashboard.json").read_text())
