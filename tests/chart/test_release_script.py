"""A release, dry: what it makes, what it would push and sign, and what it waits for."""

import hashlib
import json
import re
import tarfile
from pathlib import Path

import pytest
import release
from harness.errors import HarnessError

from tests.chart.test_chart import ROOT, Helm, helm

__all__ = ("helm",)

VERSION = "0.2.0"


@pytest.fixture(scope="module")
def made(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    try:
        assert release.main(["--dry-run", "--folder", str(folder)]) == 0
    except HarnessError as error:
        pytest.skip(f"the tool for SBOMs cannot be had: {error}")
    return folder / VERSION


def test_the_tree_agrees_with_itself() -> None:
    assert release.contradictions() == []


def test_what_is_signed_is_what_was_pushed() -> None:
    digests = [f"{each}/text-to-video-runner@sha256:a" for each in ("r.io/me-too", "r.io/me")]
    found = release.digest_of(f"r.io/me/text-to-video-runner:{VERSION}", digests)
    assert found == "r.io/me/text-to-video-runner@sha256:a"


def test_the_chart_is_whole_and_holds_what_users_read(made: Path) -> None:
    with tarfile.open(made / f"text-to-video-operator-{VERSION}.tgz") as chart:
        names = {name.removeprefix("text-to-video-operator/") for name in chart.getnames()}
    assert {"README.md", "values.schema.json", "files/release_test.py"} <= names
    assert "README.md.gotmpl" not in names


@pytest.mark.parametrize("program", release.IMAGES)
def test_an_images_packages_are_listed_as_they_are_locked(made: Path, program: str) -> None:
    sbom = json.loads((made / f"text-to-video-{program}.packages.cdx.json").read_text())
    listed = {each["name"]: each for each in sbom["components"]}
    locked = dict(
        re.findall(
            r"^([A-Za-z0-9._-]+)==([^ ;\\\\]+)",
            (ROOT / program / "requirements.txt").read_text(),
            re.MULTILINE,
        )
    )
    assert sbom["bomFormat"] == "CycloneDX"
    assert {name: each.get("version") for name, each in listed.items()} == locked
    assert all(each["purl"].startswith("pkg:pypi/") for each in listed.values())


def test_the_checksums_are_those_of_the_files(made: Path) -> None:
    sums = dict(
        reversed(line.split("  ")) for line in (made / "SHA256SUMS").read_text().splitlines()
    )
    files = {path.name: path for path in made.iterdir() if path.name != "SHA256SUMS"}
    assert sums.keys() == files.keys()
    for name, path in files.items():
        assert sums[name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_images_are_pushed_before_their_digests_are_signed() -> None:
    of = release.Release(VERSION, Path("dist"), "registry.example.com/video")
    commands = release.push_commands(of)
    for program in release.IMAGES:
        digest = f"${program.upper()}"
        (push,) = (n for n, c in enumerate(commands) if c == ["docker", "push", of.image(program)])
        uses = [n for n, command in enumerate(commands) if digest in command]
        assert [commands[n][:2] for n in uses] == [
            ["syft", "scan"],
            ["cosign", "sign"],
            ["cosign", "attest"],
        ]
        assert push < min(uses)
    signed = [command for command in commands if command[:2] == ["cosign", "sign"]]
    assert not [command for command in signed if command[-1] == of.image("operator")]


def test_a_push_waits_for_what_is_unfinished(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert release.main(["--push", "https://registry/", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "is no registry" in said
    assert "Chart.yaml: home, icon, sources and links still name example.com" in said
    assert list(tmp_path.iterdir()) == []
