"""Videos that are asked for on the command line: by prompts, by a table, by manifests."""

import argparse
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from t2v_api.base import ContractError, nearest
from t2v_api.resource import API_VERSION, KIND, TextToVideoJob, TextToVideoJobSpec

from t2v_operator.cli.manifest import ManifestError
from t2v_operator.cli.output import read_text, takes_manifests

Named = Callable[[str], str]
"""Makes a name of a prompt."""

FLAGS: Mapping[str, str] = {
    "negative_prompt": "what the video must not show",
    "width": "pixels",
    "height": "pixels",
    "num_frames": "frames",
    "fps": "frames a second",
    "num_inference_steps": "denoising steps",
    "guidance_scale": "of the prompt",
    "scheduler": "a name that `t2v schedulers` lists",
    "init_image": "a URL: the first frame",
    "init_video": "a URL: is drawn anew",
    "speed": "Exact, Balanced or Fast",
    "pool": "the GPU pool",
}
"""Fields of the spec with an option of their own; `--set` has the others."""
MOST_SEEDS = 1000


def takes_asked(parser: argparse.ArgumentParser, number_flags: tuple[str, ...]) -> None:
    """Prompts, their fields, and manifests."""
    takes_manifests(parser, required=False)
    parser.add_argument("prompts", nargs="*", metavar="PROMPT", help="what a video shows")
    parser.add_argument("--model", help="for prompts: a name that `t2v models` lists")
    parser.add_argument("--name", help="of the resource; made of the prompt, unless it is said")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, help="the same seed makes the same video again")
    seeds.add_argument("--seeds", type=_seeds, metavar="1-8", help="a video for each: 1-8, 3,5,9")
    parser.add_argument(
        *number_flags,
        dest="number",
        type=int,
        default=1,
        help="videos for each prompt, at seeds one after the other (1)",
    )
    parser.add_argument(
        "--csv",
        action="append",
        default=[],
        metavar="FILE",
        help="a video for each row; columns: prompt, name, modelId, seed or any other of the spec",
    )
    for field, told in FLAGS.items():
        parser.add_argument(f"--{field.replace('_', '-')}", dest=f"field_{field}", help=told)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field of the spec, such as outputTtlSeconds=3600; may be given several times",
    )


def asked(options: argparse.Namespace, named: Named) -> list[dict[str, Any]]:
    """The documents of all videos that prompts and tables ask for.

    Raises ManifestError.
    """
    wanted = [*_of_prompts(options, named), *_of_tables(options, named)]
    for document in wanted:
        try:
            TextToVideoJob.parse(document)
        except ContractError as error:
            name = document["metadata"]["name"]
            raise ManifestError(
                "\n".join(f"{name}: {line}" for line in str(error).splitlines())
            ) from None
    names = [each["metadata"]["name"] for each in wanted]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ManifestError(f"{twice} would be the name of two videos")
    return wanted


def _of_prompts(options: argparse.Namespace, named: Named) -> Iterator[dict[str, Any]]:
    if options.prompts and not options.model:
        raise ManifestError("--model is missing: a name that `t2v models` lists")
    if options.seeds and options.number != 1:
        raise ManifestError("--seeds says how many videos; leave the number out")
    seeds = options.seeds or _following(options.seed, options.number)
    for prompt in options.prompts:
        base = options.name or named(prompt)
        for index, seed in enumerate(seeds, start=1):
            spec = {"modelId": options.model, "prompt": prompt, **_fields(options)}
            if seed is not None:
                spec["seed"] = seed
            is_one = len(seeds) == 1 and (len(options.prompts) == 1 or not options.name)
            number = index if seed is None else seed
            yield _document(base if is_one else f"{base}-{number}", spec)


def _of_tables(options: argparse.Namespace, named: Named) -> Iterator[dict[str, Any]]:
    for source in options.csv:
        text, called = read_text(source)
        for line, row in enumerate(
            csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))), start=2
        ):
            if None in row or None in row.values():
                raise ManifestError(f"{called}, line {line}: it has not as many fields as line 1")
            given = {name: value for name, value in row.items() if value != ""}
            name = given.pop("name", "")
            at = f"{called}, line {line}"
            fields = dict(_typed(field.strip(), value, at) for field, value in given.items())
            spec = {**_fields(options), **fields}
            if options.model:
                spec.setdefault("modelId", options.model)
            yield _document(name or named(str(spec.get("prompt", ""))), spec)


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    given = {field: getattr(options, f"field_{field}") for field in FLAGS}
    spec = dict(
        _typed(field, value, f"--{field.replace('_', '-')}")
        for field, value in given.items()
        if value is not None
    )
    for each in options.set:
        field, sign, value = each.partition("=")
        if not sign:
            raise ManifestError(f"--set {each}: say FIELD=VALUE")
        spec |= [_typed(field, value, "--set")]
    return spec


def _typed(name: str, text: str, at: str) -> tuple[str, Any]:
    """A field by its name in YAML, and its value as JSON has it. Raises ManifestError."""
    aliases = {field: str(info.alias) for field, info in TextToVideoJobSpec.model_fields.items()}
    alias = aliases.get(name, name)
    if alias not in aliases.values():
        raise ManifestError(f"{at}: unknown field {name!r}{nearest(name, aliases.values())}")
    if _takes_text(alias):
        return alias, text
    try:
        return alias, json.loads(text)
    except ValueError:
        raise ManifestError(f"{at}: {alias} is no {text!r}") from None


def _takes_text(alias: str) -> bool:
    schema = TextToVideoJobSpec.model_json_schema()

    def takes(part: Mapping[str, Any]) -> bool:
        if place := part.get("$ref"):
            return takes(schema["$defs"][place.rpartition("/")[2]])
        return part.get("type") == "string" or any(map(takes, part.get("anyOf", ())))

    return takes(schema["properties"][alias])


def _seeds(text: str) -> list[int | None]:
    """`1-8`, `3,5,9`, or both."""
    found: list[int | None] = []
    for part in text.split(","):
        if not (match := re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)):
            raise argparse.ArgumentTypeError(f"{part!r} is neither a seed nor a range such as 1-8")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"{part!r} is no range of 1 to {MOST_SEEDS} seeds")
        found += range(first, last + 1)
    return found


def _following(seed: int | None, number: int) -> list[int | None]:
    if not 1 <= number <= MOST_SEEDS:
        raise ManifestError(f"{number} videos of one prompt; 1 to {MOST_SEEDS} can be asked for")
    return [None] * number if seed is None else list(range(seed, seed + number))


def _document(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
