"""Write what is generated: CRDs, the chart's copies, its dashboard, the schema of its values, the
pages of the reference.

python scripts/generate.py    # a test fails when a file differs from what this writes
"""

import json
from pathlib import Path
from typing import Any

from dashboard import dashboard_json
from reference import reference_pages
from t2v_gateway.settings import GatewaySettings
from t2v_operator.config import OperatorConfig
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition_yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "text-to-video-operator"

TEXT = {"type": "string"}
BOOLEAN = {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ANYTHING = {"type": "object"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
LIST = {"type": "array", "items": {"type": "object"}}
COUNT = {"type": "integer", "minimum": 1}
LABELS = {
    **TEXTS,
    # The chart's own selectors: these two are for nobody else to set.
    "patternProperties": {"^app\\.kubernetes\\.io/(name|instance)$": False},
}
NAME = {**TEXT, "maxLength": 52, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"}
STRATEGY = {
    "type": "object",
    "properties": {
        "type": {"enum": ["RollingUpdate", "Recreate"]},
        "rollingUpdate": {"type": ["object", "null"]},
    },
    "additionalProperties": False,
}
POD = {
    "resources": ANYTHING,
    "podAnnotations": TEXTS,
    "podLabels": LABELS,
    "priorityClassName": TEXT,
    "nodeSelector": TEXTS,
    "tolerations": LIST,
    "affinity": ANYTHING,
}
"""What each part's pods may be told."""


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


SERVICE = _closed(
    type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    port=PORT,
    nodePort={"type": ["integer", "null"]},
    annotations=TEXTS,
)
INGRESS = _closed(enabled=BOOLEAN, className=TEXT, host=TEXT, tlsSecret=TEXT, annotations=TEXTS)
HTTP_ROUTE = _closed(
    enabled=BOOLEAN, hostname=TEXT, scheme={"enum": ["http", "https"]}, parentRefs=LIST
)


ACCOUNT = _closed(create=BOOLEAN, name=TEXT, annotations=TEXTS)
MONITOR = _closed(
    enabled=BOOLEAN, interval={**TEXT, "pattern": "^([0-9]+(ms|s|m|h))+$"}, labels=TEXTS
)


def generated() -> dict[Path, str]:
    """Each file with what it must hold."""
    crds = {of.name: custom_resource_definition_yaml(of) for of in CUSTOM_KINDS}
    return {
        **{ROOT / "crds" / f"{name}.yaml": text for name, text in crds.items()},
        **{CHART / "files" / "crds" / f"{name}.yaml": text for name, text in crds.items()},
        CHART / "files" / "dashboard.json": dashboard_json(),
        CHART / "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        **{ROOT / "docs" / "reference" / name: text for name, text in reference_pages().items()},
    }


def values_schema() -> dict[str, Any]:
    """The chart's values: its own, and the operator's configuration as the models have it."""
    config = OperatorConfig.model_json_schema(by_alias=True)
    settings = GatewaySettings.model_json_schema(by_alias=True)
    definitions = config.pop("$defs") | settings.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_closed(
            nameOverride=NAME,
            fullnameOverride=NAME,
            commonLabels=LABELS,
            image=_closed(
                repository={**TEXT, "minLength": 1},
                tag=TEXT,
                digest={**TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"},
                pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
            ),
            imagePullSecrets=LIST,
            crds=_closed(install=BOOLEAN, keep=BOOLEAN, takeOver=BOOLEAN),
            rbac=_closed(create=BOOLEAN, clusterRoles=BOOLEAN),
            admissionPolicy=_closed(
                enabled=BOOLEAN,
                images={"type": "array", "items": {**TEXT, "minLength": 1}},
            ),
            serviceAccount=ACCOUNT,
            replicas=COUNT,
            strategy=STRATEGY,
            revisionHistoryLimit={"type": "integer", "minimum": 0},
            podDisruptionBudget=_closed(create=BOOLEAN),
            logFormat={"enum": ["text", "json"]},
            env=LIST,
            envFrom=LIST,
            extraVolumes=LIST,
            extraVolumeMounts=LIST,
            **POD,
            topologySpreadConstraints=LIST,
            podSecurityContext=ANYTHING,
            securityContext=ANYTHING,
            store=_closed(
                size=TEXT,
                storageClassName={"type": ["string", "null"]},
                existingClaim=TEXT,
                service=SERVICE,
                podSecurityContext=ANYTHING,
                **POD,
            ),
            ingress=INGRESS,
            httpRoute=HTTP_ROUTE,
            gateway=_closed(
                enabled=BOOLEAN,
                replicas=COUNT,
                mayChangeModels=BOOLEAN,
                config=settings,
                service=SERVICE,
                ingress=INGRESS,
                httpRoute=HTTP_ROUTE,
                autoscaling=_closed(
                    enabled=BOOLEAN,
                    minReplicas=COUNT,
                    maxReplicas=COUNT,
                    targetCPUUtilizationPercentage={**COUNT, "maximum": 100},
                ),
                networkPolicy=_closed(**{"enabled": BOOLEAN, "from": LIST}),
                serviceAccount=ACCOUNT,
                strategy=STRATEGY,
                topologySpreadConstraints=LIST,
                **POD,
            ),
            networkPolicies=_closed(
                enabled=BOOLEAN,
                namespaces={"type": "array", "items": TEXT},
                internalRanges={"type": "array", "items": TEXT},
                extraEgress=LIST,
            ),
            metrics=_closed(
                podMonitor=MONITOR,
                serviceMonitor=MONITOR,
                rules=_closed(
                    enabled=BOOLEAN,
                    labels=TEXTS,
                    runbookUrl=TEXT,
                    disabled={"type": "array", "items": TEXT},
                ),
                dashboard=_closed(enabled=BOOLEAN, namespace=TEXT, labels=TEXTS, annotations=TEXTS),
            ),
            extraObjects={"type": "array", "items": {"type": ["object", "string"]}},
            config=config,
            # helm gives every chart this one.
            **{"global": ANYTHING},
        ),
        "$defs": definitions,
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))  # noqa: T201
