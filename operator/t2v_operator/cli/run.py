"""`t2v run`: a video on this machine, by the same functions as on a cluster."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from t2v_api.reasons import EXIT_CODES, ExitCode, Reason
from t2v_api.resource import Phase, TextToVideoJob, TextToVideoJobStatus
from t2v_api.result import VIDEO_FILE
from t2v_client.asking import words_of

from t2v_operator.cli.asking import asked, takes_asked
from t2v_operator.cli.catalogue import catalogue, read_models, takes_models
from t2v_operator.cli.display import display
from t2v_operator.cli.local import LocalMachine, run_job
from t2v_operator.cli.output import (
    Format,
    complain,
    formatted,
    read_all,
    say,
    takes_config,
    videos_in,
    with_uid,
)
from t2v_operator.cli.shown import seconds
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.attempts import History
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.job import build_job
from t2v_operator.core.keys import assumed_key
from t2v_operator.core.plan import read_plan
from t2v_operator.core.request import ResolvedJob, resolve
from t2v_operator.core.status import Subject, ended_status, failed_status
from t2v_operator.errors import RequestRefused

CONTACT_SHEET = "contact-sheet.png"
FORMATS = (Format.TABLE, Format.JSON, Format.YAML)


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_asked(parser, ("-n", "--number"))
    takes_models(parser)
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="FOLDER_OR_FORMAT",
        help="folder for the videos (out); or how the end is printed: table, json or yaml (table "
        "on a terminal, else yaml); may be given twice",
    )
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="where models with a relative path are",
    )
    parser.add_argument(
        "--allow-private-media",
        action="store_true",
        help="let init media come from private addresses, such as a server on this machine",
    )


def perform(options: argparse.Namespace) -> int:
    """Make every video of the manifests, in order. The first failure's exit code."""
    config = load_config(options.config)
    resources = [*read_all(options.filename), *map(TextToVideoJob.parse, asked(options, words_of))]
    models = [*resources, *read_models(options.models)]
    known = catalogue(config, models, is_fetched_here=True)
    machine = LocalMachine(
        models_dir=options.models_dir, allow_private_media=options.allow_private_media
    )
    folder, show = _place_and_format(options.output)
    codes: list[int] = []
    for resource in videos_in(resources, options.filename or ["the command line"]):
        codes.append(_run_one(with_uid(resource), config, known, machine, folder, show))
        if codes[-1] == ExitCode.STOPPED:
            break
    return next((code for code in codes if code), ExitCode.DONE)


def _place_and_format(words: Sequence[str]) -> tuple[Path, Format]:
    """Where the videos go, and how their ends are told."""
    formats = [Format(word) for word in words if word in FORMATS]
    places = [Path(word) for word in words if word not in FORMATS]
    usual = Format.TABLE if sys.stdout.isatty() else Format.YAML
    return (*places, Path("out"))[0], (*formats, usual)[0]


def _run_one(
    resource: TextToVideoJob,
    config: OperatorConfig,
    known: Catalogue,
    machine: LocalMachine,
    output: Path,
    show: Format,
) -> int:
    folder = output.absolute() / resource.metadata.name
    try:
        job = resolve(resource, config, catalogue=known, key=assumed_key(resource, config))
        _check_model(job)
    except RequestRefused as refusal:
        subject = _subject(resource)
        status = failed_status(
            subject, None, refusal.reason, refusal.message, History(), subject.now
        )
        _show(resource, status, show, folder)
        complain(f"{resource.metadata.name}: {refusal.reason}: {refusal.message}")
        return EXIT_CODES[refusal.reason]
    manifest = build_job(job, config)
    with display(resource.metadata.name) as watcher:
        end = run_job(manifest, folder, machine, watcher)
    plan = read_plan(manifest)
    assert plan  # we built it
    here = replace(plan, runner_image="local", output_url=folder.as_uri())
    status = ended_status(_subject(resource), here, end, History((end.attempt,), count=1))
    _show(resource, status, show, folder)
    if status.phase is not Phase.SUCCEEDED:
        complain(f"{resource.metadata.name}: {status.conditions[0].reason}: {status.message}")
        return end.exit_code or ExitCode.FAULT
    has_sheet = _draw_contact_sheet(folder)
    if show is not Format.TABLE:
        complain(f"video:         {folder / VIDEO_FILE}")
        if has_sheet:
            complain(f"contact sheet: {folder / CONTACT_SHEET}")
    return ExitCode.DONE


def _check_model(job: ResolvedJob) -> None:
    """Raises RequestRefused where only a node could show the model."""
    for source in job.profile.images:
        raise RequestRefused(
            Reason.MODEL_NOT_LOADABLE,
            f"model {job.profile.id} is the image {source.image}, which only a cluster mounts: "
            "unpack it, and name the folder as source.path",
        )


def _draw_contact_sheet(folder: Path) -> bool:
    command = [sys.executable, "-m", "t2v_runner.contact_sheet", VIDEO_FILE, CONTACT_SHEET]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0  # noqa: S603


def _subject(resource: TextToVideoJob) -> Subject:
    return Subject(resource.metadata, resource.spec.request_hash, datetime.now(UTC))


def _show(
    resource: TextToVideoJob, status: TextToVideoJobStatus, show: Format, folder: Path
) -> None:
    """Three lines for people, of a video that is there; all of it for programs."""
    document = {"metadata": {"name": resource.metadata.name}, "status": status.document()}
    if show is Format.JSON:
        say(json.dumps(document, ensure_ascii=False))
    elif show is Format.YAML:
        say(f"---\n{formatted(document, show)}")
    elif status.phase is Phase.SUCCEEDED:
        assert status.resolved
        say(f"video: {_short(folder / VIDEO_FILE)}")
        say(f"seed:  {status.resolved.seed}")
        say(f"time:  {seconds(status.generation_time)}")


def _short(file: Path) -> Path:
    """From the working folder, where it lies in it."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def default_models_dir() -> Path:
    """The checkout's models folder; an image sets T2V_MODELS_DIR instead."""
    checkout = Path(__file__).parents[3] / "models"
    return Path(os.environ.get("T2V_MODELS_DIR", checkout))
