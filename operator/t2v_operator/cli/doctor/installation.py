"""What is examined: the operator's Deployment, its configuration, the API server behind both."""

from dataclasses import dataclass
from typing import Any

from t2v_client import AsyncClient, Forbidden, NotFound

from t2v_operator.config import ConfigurationError, OperatorConfig, read_config

Document = dict[str, Any]
PART_OF = "app.kubernetes.io/part-of=text-to-video-operator"
"""On all that the chart installs, whatever `nameOverride` calls it."""
CONTAINER = "operator"
CONFIG_FILE = "config.yaml"


class NotInstalled(Exception):
    """There is no operator, or more than one; its text says what to do."""


@dataclass(frozen=True)
class Installation:
    """One release, as the API server shows it."""

    client: AsyncClient
    namespace: str
    deployment: Document
    config: OperatorConfig
    problem: str = ""
    """Why the configuration cannot be read; `config` is the default one then."""

    @property
    def name(self) -> str:
        name: str = self.deployment["metadata"]["name"]
        return name

    @property
    def service_account(self) -> str:
        spec = self.deployment["spec"]["template"]["spec"]
        return str(spec.get("serviceAccountName") or "default")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where it works; one that is empty stands for all."""
        return self.config.namespaces or ("",)

    @property
    def selector(self) -> str:
        """Of the pods that are its replicas."""
        labels = self.deployment["spec"]["selector"]["matchLabels"]
        return ",".join(f"{key}={value}" for key, value in labels.items())

    async def replicas(self) -> list[Document]:
        """Its pods."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return await self.items(path, labelSelector=self.selector)

    async def get(self, path: str, **params: str) -> Document:
        """Raises ServerError, Unreachable."""
        return await self.client.api.ask("GET", path, params)

    async def find(self, path: str) -> Document | None:
        """None where it is not there."""
        try:
            return await self.get(path)
        except NotFound:
            return None

    async def items(self, path: str, **params: str) -> list[Document]:
        """Of a collection."""
        found: list[Document] = (await self.get(path, **params))["items"]
        return found


async def find_installation(client: AsyncClient, namespace: str | None) -> Installation:
    """The operator of this namespace, or the only one that there is. Raises NotInstalled."""
    within = f"/namespaces/{namespace}" if namespace else ""
    try:
        found = await client.api.ask(
            "GET", f"/apis/apps/v1{within}/deployments", {"labelSelector": PART_OF}
        )
    except Forbidden as error:
        raise NotInstalled(f"{error}; say --operator-namespace, or ask as somebody else") from None
    deployments = [each for each in found["items"] if _is_an_operator(each)]
    if not deployments:
        where = f"namespace {namespace}" if namespace else "the cluster"
        raise NotInstalled(f"no operator in {where}: helm upgrade --install (README)")
    places = [each["metadata"]["namespace"] for each in deployments]
    if len(deployments) > 1:
        raise NotInstalled(f"operators in {', '.join(places)}: say --operator-namespace")
    (deployment,) = deployments
    config, problem = await _configuration(client, deployment)
    return Installation(client, places[0], deployment, config, problem)


def _is_an_operator(deployment: Document) -> bool:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return any(each["name"] == CONTAINER for each in containers)


async def _configuration(client: AsyncClient, deployment: Document) -> tuple[OperatorConfig, str]:
    metadata, spec = deployment["metadata"], deployment["spec"]["template"]["spec"]
    names = [each["configMap"]["name"] for each in spec.get("volumes", ()) if "configMap" in each]
    default = read_config(None)
    if not names:
        return default, "the Deployment mounts no ConfigMap"
    path = f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{names[0]}"
    try:
        text = (await client.api.ask("GET", path))["data"][CONFIG_FILE]
        return read_config(text, f"ConfigMap {names[0]}"), ""
    except (ConfigurationError, NotFound, Forbidden, KeyError) as error:
        return default, str(error)
