"""Make a release: chart, lists of what the images hold, checksums; then push and sign all of it.

PYTHONPATH=tests/cluster python scripts/release.py                     # a dry run: pushes nothing
PYTHONPATH=tests/cluster python scripts/release.py --push REGISTRY     # such as ghcr.io/OWNER

A dry run makes the files in dist/VERSION and prints the commands that a push would run: it needs no
registry, no key and no image. A push needs docker, helm, syft and cosign, logged in; cosign signs
without a key of its own (https://docs.sigstore.dev/cosign/signing/overview/).
"""

import argparse
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import yaml
from harness.commands import run
from harness.go_programs import go_program
from harness.layout import CACHE

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "text-to-video-operator"
IMAGES = ("operator", "runner")
SBOM_TOOL = "cyclonedx-bom==7.5.0"
"""Of the packages that an image's requirements.txt locks. It has an environment of its own: some of
its dependencies do not go with ours. What Debian adds to the image, syft tells at a push."""


@dataclass(frozen=True)
class Release:
    version: str
    folder: Path
    registry: str = "REGISTRY"

    @property
    def chart(self) -> Path:
        return self.folder / f"{CHART.name}-{self.version}.tgz"

    def image(self, program: str) -> str:
        return f"{self.registry}/text-to-video-{program}:{self.version}"


def contradictions() -> list[str]:
    """Where the tree does not agree with itself about what is released."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = str(chart["version"])
    said = {
        "appVersion of the chart": chart["appVersion"],
        "version in pyproject.toml": _first(r'^version = "(.+)"$', "pyproject.toml"),
        "IMAGE_TAG in the Makefile": _first(r"^IMAGE_TAG \?= (.+)$", "Makefile"),
        "the runner's image in values.yaml": _first(
            r"image: text-to-video-runner:(\S+)", "charts/text-to-video-operator/values.yaml"
        ),
    }
    return [f"{what} is {found}, not {version}" for what, found in said.items() if found != version]


def unfinished(registry: str, version: str) -> list[str]:
    """What a push waits for, beside that."""
    found = []
    if "example.com" in (CHART / "Chart.yaml").read_text():
        found.append("Chart.yaml: home, icon, sources and links still name example.com")
    if not re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M):
        found.append(f"CHANGELOG.md has no section {version}")
    if run(["git", "status", "--porcelain"], cwd=ROOT):
        found.append("the tree has changes that are in no commit")
    if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*", registry):
        found.append(f"{registry!r} is no registry: HOST/PATH, without https://")
    return found


def make_files(release: Release) -> None:
    """The chart, an SBOM for each image, and the checksums of all of them."""
    shutil.rmtree(release.folder, ignore_errors=True)
    release.folder.mkdir(parents=True)
    run([go_program("helm"), "package", CHART, "--destination", release.folder])
    for program in IMAGES:
        requirements = ROOT / program / "requirements.txt"
        sbom = release.folder / f"text-to-video-{program}.packages.cdx.json"
        words = ("requirements", requirements, "--output-reproducible", "--output-file", sbom)
        run([_sbom_tool(), *words])
    sums = [f"{_sha256(path)}  {path.name}\n" for path in sorted(release.folder.iterdir())]
    (release.folder / "SHA256SUMS").write_text("".join(sums))


def push_commands(release: Release) -> list[list[str]]:
    """In order. Images are signed by digest: $OPERATOR and $RUNNER stand for what was pushed."""
    commands = [["make", "images", f"IMAGE_TAG={release.version}"]]
    for program in IMAGES:
        image, digest = release.image(program), f"${program.upper()}"
        sbom = str(release.folder / f"text-to-video-{program}.image.cdx.json")
        commands += [
            ["docker", "tag", f"text-to-video-{program}:{release.version}", image],
            ["docker", "push", image],
            ["syft", "scan", digest, "--output", f"cyclonedx-json={sbom}"],
            ["cosign", "sign", "--yes", digest],
            ["cosign", "attest", "--yes", "--type", "cyclonedx", "--predicate", sbom, digest],
        ]
    chart = f"{release.registry}/charts/{CHART.name}"
    sums = str(release.folder / "SHA256SUMS")
    return [
        *commands,
        ["helm", "push", str(release.chart), f"oci://{release.registry}/charts"],
        ["cosign", "sign", "--yes", f"{chart}:{release.version}"],
        ["cosign", "sign-blob", "--yes", "--bundle", f"{sums}.sigstore.json", sums],
    ]


AFTERWARDS = """Then:
- tag the commit, and add the folder's files to the tag's page;
- keep the chart for the next upgrade's test: copy it to tests/cluster/earlier, and set COMMIT and
  CHART_BEFORE in tests/cluster/earlier_version.py."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--push", metavar="REGISTRY", help="push to it and sign there")
    parser.add_argument("--dry-run", action="store_true", help="push nothing; the default")
    parser.add_argument("--folder", type=Path, default=ROOT / "dist")
    options = parser.parse_args(arguments)
    if options.push and options.dry_run:
        parser.error("--push and --dry-run exclude each other")
    version = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["version"])
    release = Release(version, options.folder / version, options.push or "REGISTRY")
    problems = contradictions() + (unfinished(options.push, version) if options.push else [])
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return 1
    make_files(release)
    names = sorted(path.name for path in release.folder.iterdir())
    print(f"made in {release.folder}:", *names, sep="\n  ")
    if options.push:
        _push(release)
    else:
        print("would run:", *(shlex.join(each) for each in push_commands(release)), sep="\n  ")
    print(AFTERWARDS)
    return 0


def _push(release: Release) -> None:
    digests: dict[str, str] = {}
    for command in push_commands(release):
        words = [digests.get(word, word) for word in command]
        print("+", shlex.join(words))
        subprocess.run(words, cwd=ROOT, check=True)
        if command[:2] == ["docker", "push"]:
            program = next(each for each in IMAGES if command[2] == release.image(each))
            inspect = ["docker", "inspect", "--format", '{{join .RepoDigests "\\n"}}', command[2]]
            digests[f"${program.upper()}"] = digest_of(command[2], run(inspect).split())


def digest_of(image: str, digests: list[str]) -> str:
    """Of the image that was pushed, REPOSITORY@sha256:…; the same one may be elsewhere, too."""
    repository, _, _ = image.rpartition(":")
    return next(each for each in digests if each.startswith(f"{repository}@"))


def _sbom_tool() -> Path:
    """cyclonedx-py, in an environment of its own."""
    folder = CACHE / SBOM_TOOL.replace("==", "-")
    program = folder / "bin" / "cyclonedx-py"
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", SBOM_TOOL)
        run([folder / "bin" / "python", *install], timeout_seconds=600)
    return program


def _first(pattern: str, path: str) -> str:
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    return found[1] if found else "not there"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
