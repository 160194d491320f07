"""What Argo CD, Flux and kstatus make of videos and models, each by its own program.

Argo CD's is gopher-lua with the libraries that Argo CD opens; Flux's is its own evaluator of
healthCheckExprs; kstatus's is its own library, which Flux uses where there is no expression.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.go_programs import go_program
from t2v_api.resource import KIND, Phase

from tests.gitops.saved import CONFIG_MAP, SCRIPTS, Saved, all_saved, files

KUSTOMIZATION = Path(__file__).parents[2] / "examples" / "gitops" / "flux" / "videos.yaml"
EACH = [
    pytest.param(kind, name, saved, id=f"{kind}-{name}")
    for kind, of_kind in all_saved().items()
    for name, saved in of_kind.items()
]


def judged(resource: dict[str, Any], program: str, *arguments: Path) -> dict[str, str]:
    """The program's answer, or what it complains of as `error`."""
    ended = subprocess.run(
        [go_program(program), *arguments],
        input=json.dumps(resource),
        text=True,
        capture_output=True,
    )
    if ended.returncode != 0:
        return {"error": ended.stderr}
    answer: dict[str, str] = json.loads(ended.stdout)
    return answer


@pytest.mark.parametrize(("kind", "name", "saved"), EACH)
def test_argo_cd_shows_the_health_and_why(kind: str, name: str, saved: Saved) -> None:
    answer = judged(saved.document, "argo-health", SCRIPTS / kind / "health.lua")
    assert answer == {"status": saved.argo, "message": saved.message}


@pytest.mark.parametrize(("kind", "name", "saved"), EACH)
def test_flux_goes_by_its_expressions(kind: str, name: str, saved: Saved) -> None:
    answer = judged(saved.document, "flux-health", KUSTOMIZATION)
    if name == "progressing_noStatus":
        # The API server gives every resource a status; without one Flux does not go on either.
        assert "no such attribute" in answer["error"]
    else:
        assert answer == {"status": saved.flux}


@pytest.mark.parametrize(("kind", "name", "saved"), EACH)
def test_without_expressions_flux_goes_by_kstatus(kind: str, name: str, saved: Saved) -> None:
    assert judged(saved.document, "kstatus")["status"] == saved.kstatus


def test_every_phase_is_judged() -> None:
    videos = all_saved()[KIND].values()
    assert {saved.document.get("status", {}).get("phase") for saved in videos} == {None, *Phase}


@pytest.mark.parametrize("kind", all_saved())
def test_every_way_that_conditions_can_stand_is_judged(kind: str) -> None:
    seen = {
        next(
            (each["type"] for each in status.get("conditions", ()) if each["status"] == "True"),
            "none" if "conditions" in status else "",
        )
        for saved in all_saved()[kind].values()
        for status in [saved.document.get("status", {})]
    }
    can_be_suspended = {"none"} if kind == KIND else set()
    assert seen == {"", "Ready", "Reconciling", "Stalled"} | can_be_suspended


def test_a_script_that_argo_cd_could_not_run_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "health.lua"
    script.write_text('return { status = "Fine" }')
    assert "no health status" in judged({}, "argo-health", script)["error"]
    script.write_text('return { status = string.upper("healthy") }')
    assert "string" in judged({}, "argo-health", script)["error"], "Argo CD opens no such library"


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_argo_cds_files_are_the_written_ones(path: Path) -> None:
    assert path.read_text() == files()[path], "run: make generate"


def test_no_file_is_left_from_earlier() -> None:
    there = set(SCRIPTS.rglob("*.yaml"))
    assert there == set(files()) - {CONFIG_MAP}


@pytest.mark.parametrize("kind", all_saved())
def test_the_config_map_holds_the_same_script(kind: str) -> None:
    data = yaml.safe_load(CONFIG_MAP.read_text())["data"]
    script = data[f"resource.customizations.health.textto.video_{kind}"]
    assert script == (SCRIPTS / kind / "health.lua").read_text()
