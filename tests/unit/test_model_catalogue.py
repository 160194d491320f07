"""The manifests of models/catalogue: what each of them must hold, and the table that lists them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.execution import ladder
from t2v_api.memory import CUDA_CONTEXT, GIB, NoPlanFits, choose
from t2v_api.profile import ModelProfile
from t2v_api.quantity import bytes_of
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Support, verdict
from t2v_api.video_model import VideoModelSpec

from scripts.catalogue import README, with_table

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "models" / "catalogue").glob("*.yaml"))
EVERY = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def manifest(file: Path) -> dict[str, Any]:
    documents = list(yaml.safe_load_all(file.read_text()))
    assert len(documents) == 1
    return dict(documents[0])


def profile(file: Path) -> ModelProfile:
    """As the operator makes one of a VideoModel: the resource's name is the model's."""
    found = manifest(file)
    return VideoModelSpec.parse(found["spec"]).profile(found["metadata"]["name"])


def header(file: Path) -> str:
    lines = file.read_text().splitlines()
    return "\n".join(lines[: lines.index("apiVersion: textto.video/v1alpha1")])


def sizes_of_docs() -> dict[str, Any]:
    """What docs/memory.md has, by repository."""
    text = (ROOT / "docs" / "memory.md").read_text()
    blocks = re.findall(r"\(([\w.-]+/[\w.-]+)\):\n\n```yaml\n(.*?)```", text, re.DOTALL)
    return {repository: yaml.safe_load(block)["sizes"] for repository, block in blocks}


@EVERY
def test_it_is_a_video_model_whose_name_is_a_model_s_and_a_dns_label(file: Path) -> None:
    found = manifest(file)
    assert (found["apiVersion"], found["kind"]) == ("textto.video/v1alpha1", "VideoModel")
    assert found["metadata"] == {"name": file.stem}, "so names are as unique as files"
    assert DNS_LABEL.fullmatch(file.stem)
    assert profile(file).id == file.stem


@EVERY
def test_its_scheduler_is_one_that_the_family_has(file: Path) -> None:
    model = profile(file)
    for start in model.all_starts:
        decision = verdict(model.family, model.defaults.scheduler, start)
        assert decision.support in (Support.EXACT, Support.ADAPTED), start


@EVERY
def test_its_header_names_licence_download_and_where_the_figures_come_from(file: Path) -> None:
    said = header(file)
    assert re.search(r"^# Licence: .+", said, re.MULTILINE)
    assert re.search(r"^# Download: .+", said, re.MULTILINE)
    assert re.search(r"^# Not verified: .+", said, re.MULTILINE)
    assert len(set(re.findall(r"https://\S+", said))) >= 2


@EVERY
def test_a_revision_that_may_move_is_named_in_the_header(file: Path) -> None:
    says_so = "main moves" in " ".join(header(file).split())
    assert profile(file).is_pinned is not says_so


@EVERY
def test_its_sizes_are_those_of_docs_memory(file: Path) -> None:
    spec = manifest(file)["spec"]
    known = sizes_of_docs()
    sources = [spec[name]["hub"] for name in ("source", "motionAdapter") if name in spec]
    of_docs = [known[hub] for hub in sources if hub in known]
    if of_docs:
        assert spec["sizes"] == of_docs[0]
    elif "sizes" in spec:
        same = [{k: v for k, v in each.items() if k != "download"} for each in known.values()]
        assert spec["sizes"] in same, "a relative's, whose download may differ"
        assert "Sizes: those of" in header(file)


@EVERY
def test_its_host_and_its_disk_hold_it(file: Path) -> None:
    model = profile(file)
    memory = bytes_of(model.resources.memory)
    disk = bytes_of(model.resources.ephemeral_storage or "0")
    told = re.search(r"^# Download: [^\n]*?([\d.]+) GB", header(file), re.MULTILINE)
    assert told
    assert disk > float(told[1]) * 1e9 * 1.02, "the download and room"
    if model.sizes is None:
        return
    assert disk > (model.sizes.download or 0)
    values = model.defaults.model_dump(exclude={"guidance_scale_2"})
    request = GenerationRequest(model_id=model.id, prompt="a red circle", seed=1, **values)
    for gib in (16, 24, 48, 80):
        try:
            choice = choose(
                model.sizes, request, gib * GIB - CUDA_CONTEXT, 999 * GIB, ladder(), model.grid
            )
        except NoPlanFits:
            continue
        assert memory >= choice.peak.host, f"{choice.plan} on a GPU of {gib} GiB"


def test_every_model_of_docs_memory_has_a_manifest() -> None:
    sources = {manifest(file)["spec"]["source"]["hub"] for file in FILES}
    adapters = {manifest(file)["spec"].get("motionAdapter", {}).get("hub") for file in FILES}
    assert set(sizes_of_docs()) <= sources | adapters


def test_the_table_is_current() -> None:
    assert README.read_text() == with_table(README.read_text()), "run: python scripts/catalogue.py"
