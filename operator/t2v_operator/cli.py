"""`t2v`: make videos on this machine, check manifests, list what is known."""

import argparse
import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from t2v_api.family import ModelFamily
from t2v_api.reasons import EXIT_CODES, ExitCode
from t2v_api.resource import Phase, TextToVideoJob, TextToVideoJobStatus
from t2v_api.schedulers import Scheduler, Support, verdict

from t2v_operator.config import ConfigurationError, OperatorConfig, load_config
from t2v_operator.crd import custom_resource_definition_yaml
from t2v_operator.display import display
from t2v_operator.errors import RequestRefused
from t2v_operator.job import build_job
from t2v_operator.local import LocalMachine, run_job
from t2v_operator.manifest import ManifestError, read_manifests
from t2v_operator.plan import read_plan
from t2v_operator.request import resolve
from t2v_operator.status import Subject, ended_status, failed_status

VIDEO = "video.mp4"
CONTACT_SHEET = "contact-sheet.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, which is the runner's where one ran."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except (ManifestError, ConfigurationError) as error:
        _complain(str(error))
        return ExitCode.REQUEST_REFUSED
    except BrokenPipeError:
        # Whoever read our output has gone; leave without a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAULT
    return code


def run(options: argparse.Namespace) -> int:
    """Make every video of the manifests, in order. The first failure's exit code."""
    config = load_config(options.config)
    resources = _read_all(options.filename)
    machine = LocalMachine(
        models_dir=options.models_dir, allow_private_media=options.allow_private_media
    )
    codes: list[int] = []
    for resource in resources:
        codes.append(_run_one(resource, config, machine, options.output))
        if codes[-1] == ExitCode.STOPPED:
            break
    return next((code for code in codes if code), ExitCode.DONE)


def validate(options: argparse.Namespace) -> int:
    """Check manifests as the cluster would; make nothing."""
    config = load_config(options.config)
    refused = False
    for resource in _read_all(options.filename):
        try:
            resolve(_with_uid(resource), config)
        except RequestRefused as refusal:
            _complain(f"{resource.metadata.name}: {refusal.reason}: {refusal.message}")
            refused = True
        else:
            _print(f"{resource.metadata.name}: valid")
    return ExitCode.REQUEST_REFUSED if refused else ExitCode.DONE


def models(options: argparse.Namespace) -> int:
    """List the model catalogue."""
    for profile in load_config(options.config).models:
        defaults = profile.defaults
        _print(
            f"{profile.id:20} {profile.family:14} {defaults.width}x{defaults.height} "
            f"{defaults.num_frames} frames  {defaults.scheduler}  {profile.description}"
        )
    return ExitCode.DONE


def schedulers(options: argparse.Namespace) -> int:
    """List the 18 schedulers and what each model makes of them."""
    profiles = load_config(options.config).models
    for scheduler in Scheduler:
        supports = (f"{each.id}: {_support(each.family, scheduler)}" for each in profiles)
        _print(f"{scheduler:34} {'  '.join(supports)}")
    return ExitCode.DONE


def _support(family: ModelFamily, scheduler: Scheduler) -> str:
    decision = verdict(family, scheduler)
    if decision.support is not Support.REPLACED:
        return decision.support
    return f"{decision.support} by {decision.scheduler}"


def crd(options: argparse.Namespace) -> int:
    """Print the CustomResourceDefinition."""
    _print(custom_resource_definition_yaml().rstrip())
    return ExitCode.DONE


def operator(options: argparse.Namespace) -> int:
    """Run the operator: turn the cluster's TextToVideoJobs into videos."""
    config = load_config(options.config)
    # Of all the commands this one alone needs kopf and a Kubernetes client.
    import kopf

    from t2v_operator.controller import run_operator

    kopf.configure(
        verbose=options.verbose,
        log_format=kopf.LogFormat.JSON if options.log_format == "json" else kopf.LogFormat.FULL,
    )
    run_operator(config)
    return ExitCode.DONE


def _run_one(
    resource: TextToVideoJob, config: OperatorConfig, machine: LocalMachine, output: Path
) -> int:
    resource = _with_uid(resource)
    folder = output.absolute() / resource.metadata.name
    try:
        job = resolve(resource, config)
    except RequestRefused as refusal:
        subject = _subject(resource)
        status = failed_status(subject, None, refusal.reason, refusal.message, (), subject.now)
        _show(resource, status)
        _complain(f"{resource.metadata.name}: {refusal.reason}: {refusal.message}")
        return EXIT_CODES[refusal.reason]
    manifest = build_job(job, config)
    with display(resource.metadata.name) as watcher:
        end = run_job(manifest, folder, machine, watcher)
    plan = read_plan(manifest)
    assert plan  # we built it
    here = replace(plan, runner_image="local", output_url=folder.as_uri())
    status = ended_status(_subject(resource), here, end, [end.attempt])
    _show(resource, status)
    if status.phase is not Phase.SUCCEEDED:
        _complain(f"{resource.metadata.name}: {status.conditions[0].reason}: {status.message}")
        return end.exit_code or ExitCode.FAULT
    _complain(f"video:         {folder / VIDEO}")
    if _draw_contact_sheet(folder):
        _complain(f"contact sheet: {folder / CONTACT_SHEET}")
    return ExitCode.DONE


def _draw_contact_sheet(folder: Path) -> bool:
    command = [sys.executable, "-m", "t2v_runner.contact_sheet", VIDEO, CONTACT_SHEET]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0  # noqa: S603


def _read_all(sources: Sequence[str]) -> list[TextToVideoJob]:
    return [resource for source in sources for resource in _read(source)]


def _read(source: str) -> tuple[TextToVideoJob, ...]:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ManifestError(f"{source}: {reason}") from None
    return read_manifests(text, "standard input" if source == "-" else source)


def _with_uid(resource: TextToVideoJob) -> TextToVideoJob:
    """The API server gives every resource a uid; here that falls to us."""
    metadata = resource.metadata.model_copy(update={"uid": str(uuid.uuid4())})
    return resource.model_copy(update={"metadata": metadata})


def _subject(resource: TextToVideoJob) -> Subject:
    return Subject(resource.metadata, resource.spec.request_hash, datetime.now(UTC))


def _show(resource: TextToVideoJob, status: TextToVideoJobStatus) -> None:
    document = {"metadata": {"name": resource.metadata.name}, "status": status.document()}
    _print("---")
    _print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100).rstrip())


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _default_models_dir() -> Path:
    """The checkout's models folder; an image sets T2V_MODELS_DIR instead."""
    checkout = Path(__file__).parents[2] / "models"
    return Path(os.environ.get("T2V_MODELS_DIR", checkout))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="t2v", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: object, needs_manifests: bool) -> argparse.ArgumentParser:
        name, summary = function.__name__, function.__doc__  # type: ignore[attr-defined]
        each = commands.add_parser(name, help=summary, description=summary)
        each.set_defaults(command=function)
        each.add_argument("--config", type=Path, help="the operator's configuration file")
        if needs_manifests:
            each.add_argument(
                "-f",
                "--filename",
                action="append",
                required=True,
                help="a manifest, '-' for standard input; may be given several times",
            )
        return each

    runs = command(run, needs_manifests=True)
    runs.add_argument(
        "-o", "--output", type=Path, default=Path("out"), help="folder for the videos (out)"
    )
    runs.add_argument(
        "--models-dir",
        type=Path,
        default=_default_models_dir(),
        help="where models with a relative path are",
    )
    runs.add_argument(
        "--allow-private-media",
        action="store_true",
        help="let init media come from private addresses, such as a server on this machine",
    )
    command(validate, needs_manifests=True)
    command(models, needs_manifests=False)
    command(schedulers, needs_manifests=False)
    command(crd, needs_manifests=False)
    operators = command(operator, needs_manifests=False)
    operators.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="lines or JSON (text)"
    )
    operators.add_argument(
        "-v", "--verbose", action="store_true", help="log what is decided again and again, too"
    )
    return parser
