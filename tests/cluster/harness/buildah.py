"""Build images with buildah, in a storage of the harness's own.

The machine's certificates and pip configuration are there for the build's RUN steps only: they are
mounted, read-only, on paths that the base image already has, so no layer holds anything of them.
"""

import configparser
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.commands import GENTLY, Words, run
from harness.layout import CACHE

_STORAGE = CACHE / "buildah"
_MACHINE_CERTIFICATES = Path("/etc/ssl/certs")
_BUNDLE = _MACHINE_CERTIFICATES / "ca-certificates.crt"
_BUILD_SECONDS = 3600


def build(
    dockerfile: Path,
    tag: str,
    build_args: Mapping[str, str],
    context: Path,
    volumes: Mapping[Path, str] | None = None,
    target: str | None = None,
) -> None:
    """Build `tag`. Steps that did not change are taken from earlier builds."""
    arguments: Words = [f"--build-arg={name}={value}" for name, value in build_args.items()]
    places = [f"--volume={place}" for place in machine_volumes()]
    for folder, mounted_at in (volumes or {}).items():
        places.append(f"--volume={folder}:{mounted_at}:rw")
    buildah(
        *("bud", "--isolation=chroot", "--network=host", "--layers"),
        *(f"--file={dockerfile}", f"--tag={tag}"),
        *([f"--target={target}"] if target else []),
        *arguments,
        *places,
        context,
    )


def image_id(tag: str) -> str | None:
    """The id of an image in the storage; None when there is none."""
    images = json.loads(buildah("images", "--json") or "[]") or []
    return next((image["id"] for image in images if tag in (image["names"] or [])), None)


def save(tag: str, archive: Path) -> None:
    """Write the image as an archive that containerd imports under the same name."""
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    buildah("push", tag, f"docker-archive:{unfinished}:{tag}")
    unfinished.rename(archive)


def buildah(*words: str | Path) -> str:
    """Run buildah on the harness's storage."""
    _STORAGE.mkdir(parents=True, exist_ok=True)
    places: Words = ["--root", _STORAGE / "root", "--runroot", _STORAGE / "runroot"]
    environment = {"STORAGE_DRIVER": "overlay"}
    command: Words = [*GENTLY, "buildah", *places, *words]
    return run(command, environment=environment, timeout_seconds=_BUILD_SECONDS)


def machine_volumes() -> list[str]:
    """What a build step needs of this machine to reach its package registries."""
    volumes = [f"{_write_pip_configuration()}:/etc/pip.conf:ro"]
    if _BUNDLE.exists():
        volumes.append(f"{_MACHINE_CERTIFICATES}:{_MACHINE_CERTIFICATES}:ro")
    return volumes


def _write_pip_configuration() -> Path:
    """One pip.conf that says what this machine's environment and files say together."""
    settings = {"no-cache-dir": "true", "disable-pip-version-check": "true"}
    settings.update(_pip_settings())
    if _BUNDLE.exists():
        settings["cert"] = str(_BUNDLE)
    configuration = configparser.RawConfigParser()
    configuration["global"] = settings
    path = _STORAGE / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        configuration.write(file)
    return path


def _pip_settings() -> dict[str, str]:
    """The settings that say where packages come from; paths of this machine are left out."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout")
    pip = shutil.which("pip") or shutil.which("pip3")
    if pip is None:
        return {}
    settings = {}
    for line in run([pip, "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in wanted:
            settings[key.removeprefix("default-")] = value.strip("'\"")
    return settings
