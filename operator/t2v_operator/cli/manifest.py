"""Read manifests of our kinds from YAML. Knows the text, not where it came from."""

from collections.abc import Iterator
from typing import Any

import yaml
from t2v_api.base import ContractError
from t2v_api.resource import KIND, TextToVideoJob
from t2v_api.video_model import MODEL_KIND, VideoModel

Resource = TextToVideoJob | VideoModel
KINDS: dict[str, type[TextToVideoJob] | type[VideoModel]] = {
    KIND: TextToVideoJob,
    MODEL_KIND: VideoModel,
}


class ManifestError(ValueError):
    """A manifest cannot be used; one line for each thing that is wrong."""


def read_manifests(
    text: str, source: str, only: type[Resource] | None = None
) -> tuple[Resource, ...]:
    """All resources of a YAML stream, in order. `source` names it in messages.

    `only`: what is of another kind is passed over. Raises ManifestError when any document is
    wrong, so that nothing runs half.
    """
    found = [
        each
        for each in documents(text, source)
        if only is None or (isinstance(each, dict) and KINDS.get(str(each.get("kind"))) is only)
    ]
    if not found and only is None:
        raise ManifestError(f"{source}: no {KIND} and no {MODEL_KIND} in it")
    resources = []
    for number, document in enumerate(found, start=1):
        at = f"{source}, document {number}" if len(found) > 1 else source
        resources.append(_resource(document, at))
    return tuple(resources)


def documents(text: str, source: str) -> Iterator[Any]:
    """What stands in a YAML stream, as kubectl reads it. Raises ManifestError."""
    try:
        yield from (each for each in yaml.load_all(text, Loader=_Loader) if each is not None)
    except yaml.YAMLError as error:
        raise ManifestError(f"{source}: not YAML: {_one_line(error)}") from None


def _resource(document: Any, at: str) -> Resource:
    if not isinstance(document, dict):
        raise ManifestError(f"{at}: a manifest is a mapping, not {type(document).__name__}")
    kind = document.get("kind")
    if kind not in KINDS:
        raise ManifestError(f"{at}: kind is {kind!r}; here it is {KIND} or {MODEL_KIND}")
    try:
        return KINDS[kind].parse(document)
    except ContractError as error:
        raise ManifestError(
            "\n".join(f"{at}: {line}" for line in str(error).splitlines())
        ) from None


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a date is text, a name stands once in a mapping."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if key.value in names and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} stands twice", key.start_mark
                )
            names.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping
