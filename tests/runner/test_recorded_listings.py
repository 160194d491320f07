"""Which files of real repositories are fetched, from listings that were found in public places.

`recorded/listings.yaml` says where each was seen. What it has not, the pipeline's index and the
shards' indexes, is made here of the files' names.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_runner.families.animatediff import LEFT_OUT
from t2v_runner.hub.listing import HubFile, Listing
from t2v_runner.hub.needs import Need, component_needs, pipeline_needs, total_bytes

from tests.runner.hub_listings import DIT, Published

RECORDED: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "recorded" / "listings.yaml").read_text()
)
NO_COMPONENTS = {"assets", "examples", "latent_upsampler", "media", "vae_temporal_decoder"}
"""Folders that no pipeline loads by its index; the upsampler comes by a pipeline of its own."""


def published(recorded: dict[str, Any]) -> Published:
    sizes = {path: size or 0 for path, size in recorded["files"].items()}
    return Published(sizes, index_of(sizes), weight_maps_of(sizes, recorded.get("shards", {})))


def index_of(paths: dict[str, int]) -> dict[str, Any]:
    """A library for each component's folder, told by what its weights are called."""
    folders = {path.split("/")[0] for path in paths if path.count("/") == 1}
    index: dict[str, Any] = {"_class_name": "AnyPipeline"}
    for folder in sorted(folders - NO_COMPONENTS):
        is_diffusers = any(path.startswith(f"{folder}/{DIT}") for path in paths)
        index[folder] = ["diffusers" if is_diffusers else "transformers", "Any"]
    return index


def weight_maps_of(paths: dict[str, int], numbers: dict[str, int]) -> dict[str, dict[str, str]]:
    """Each index names the shards that lie beside it, or so many as `numbers` says."""
    suffix = ".safetensors.index.json"
    return {
        path: {
            shard: shard.rsplit("/", 1)[1]
            for shard in paths
            if shard.startswith(path.removesuffix(suffix) + "-")
            and (path not in numbers or f"-of-{numbers[path]:05}." in shard)
        }
        for path in paths
        if path.endswith(suffix)
    }


def needs_of(recorded: dict[str, Any]) -> tuple[Need, ...]:
    repository = published(recorded)
    listing = Listing(
        recorded["repository"],
        recorded["revision"],
        {path: HubFile(path, size, "0" * 40) for path, size in repository.sizes.items()},
    )
    if "model_index.json" not in listing.files:
        return component_needs(listing, repository.read)
    left_out = LEFT_OUT if "safety_checker" in repository.index else ()
    return pipeline_needs(listing, repository.read, left_out)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["repository"])
def test_of_a_real_repository_what_is_needed_is_fetched_and_nothing_else(
    recorded: dict[str, Any],
) -> None:
    needs = needs_of(recorded)
    fetched = {need.file.path for need in needs}
    assert set(recorded["unneeded"]) <= set(recorded["files"])
    assert fetched == set(recorded["files"]) - set(recorded["unneeded"])
    assert all(need.name == need.file.path for need in needs)
    assert total_bytes(needs) == (recorded["bytes"] or 0)


@pytest.mark.parametrize(
    "recorded",
    [each for each in RECORDED if "components" in each],
    ids=lambda recorded: recorded["repository"],
)
def test_the_index_that_is_made_of_the_names_has_the_components_of_the_real_one(
    recorded: dict[str, Any],
) -> None:
    made = set(index_of(recorded["files"])) - {"_class_name"}
    assert made == set(recorded["components"])


def test_a_dozen_real_repositories_are_recorded_and_each_says_where_it_was_seen() -> None:
    assert len({recorded["repository"] for recorded in RECORDED}) >= 12
    for recorded in RECORDED:
        assert any("https://" in place for place in recorded["seen"]), recorded["repository"]
        assert recorded["sizes"] != "none" or recorded["bytes"] is None
        if recorded["sizes"] == "exact" and "components" in recorded:
            assert None not in recorded["files"].values()


if __name__ == "__main__":
    for each in RECORDED:
        found = needs_of(each)
        summed = f"{total_bytes(found):,} bytes ({each['sizes']})" if each["bytes"] else "no sizes"
        print(f"{each['repository']}: {len(found)} of {len(each['files'])} files, {summed}")
