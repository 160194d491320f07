"""Resources, profiles and configurations for tests: name only what the test is about."""

from typing import Any

from t2v_api.family import ModelFamily
from t2v_api.resource import TextToVideoJob
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.request import ResolvedJob, resolve


def a_resource(
    name: str = "red-circle", namespace: str = "default", uid: str = "uid-1", **spec: Any
) -> TextToVideoJob:
    """A valid resource with the given spec fields (camelCase)."""
    return TextToVideoJob.parse(
        {
            "apiVersion": "textto.video/v1alpha1",
            "kind": "TextToVideoJob",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {"modelId": "tiny-shapes", "prompt": "a red circle", **spec},
        }
    )


def a_config(**model: Any) -> OperatorConfig:
    """The default configuration, its model's top-level fields replaced."""
    document = load_config(None).document()
    document["models"][0] |= model
    if "family" in model and "defaults" not in model:
        grid = ModelFamily(model["family"]).traits.grid
        document["models"][0]["defaults"]["numFrames"] = 2 * grid.frames + grid.offset
    return OperatorConfig.parse(document)


def a_config_that_asks(profile: dict[str, Any] | None = None, **endpoint: Any) -> OperatorConfig:
    """The default configuration with an endpoint for its model's prompts."""
    section = {"url": "http://llm.example.com/v1", "model": "the-model", **endpoint}
    document = a_config().document() | {"promptEnhancement": section}
    document["models"][0] |= {"promptEnhancement": "Endpoint", **(profile or {})}
    return OperatorConfig.parse(document)


def a_config_with_kueue(**pool: Any) -> OperatorConfig:
    """The default configuration where Kueue is installed; its pool's fields replaced."""
    document = load_config(None).document() | {"kueue": {"enabled": True}}
    document["pools"][0] |= pool
    return OperatorConfig.parse(document)


def a_config_of_pools(*pools: dict[str, Any], kueue: bool = False, **model: Any) -> OperatorConfig:
    """The default configuration with these GPU pools, its model one that needs a GPU."""
    document = a_config(**({"resources": {"gpus": 1, "memory": "64Gi"}} | model)).document()
    return OperatorConfig.parse(document | {"pools": list(pools), "kueue": {"enabled": kueue}})


def a_config_of_jobs(**jobs: Any) -> OperatorConfig:
    """The default configuration with other patience."""
    return OperatorConfig.parse(load_config(None).document() | {"jobs": jobs})


def a_config_with_a_store(**more: Any) -> OperatorConfig:
    """The default configuration with the embedded store."""
    store = {"kind": "embedded", "url": "https://videos.example.com"}
    report = {"url": "https://report.t2v-system.svc"}
    document = load_config(None).document() | {"storage": store, "reportServer": report}
    return OperatorConfig.parse(document | more)


def a_job(config: OperatorConfig | None = None, **spec: Any) -> ResolvedJob:
    """A resolved job."""
    return resolve(a_resource(**spec), config or a_config())
