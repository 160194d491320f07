"""The reference has every field of the resources and of the configuration, and says what each is.

That it is up to date, tests/unit/test_generated.py says.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from reference import reference_pages
from t2v_operator.crd import CUSTOM_KINDS, CustomKind, custom_resource_definition

PAGES = reference_pages()
ROW = re.compile(r'^\| <code id="([\w-]+)">(\w+)</code> \| ([^|]+) \| (.*) \|$', re.MULTILINE)


def paths(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Of every field below an object of the CRD."""
    for name, field in schema.get("properties", {}).items():
        where = f"{path}-{name}" if path else name
        yield where
        yield from paths(field, where)
        yield from paths(field.get("items", {}), where)
        values = field.get("additionalProperties", {})
        yield from paths(values, f"{where}-NAME")


@pytest.mark.parametrize("of", CUSTOM_KINDS, ids=lambda of: of.kind)
def test_every_field_of_a_resource_is_there_once(of: CustomKind) -> None:
    (version,) = custom_resource_definition(of)["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    wanted = [each for part in ("spec", "status") for each in paths(properties[part], part)]
    told = [row[1] for row in ROW.finditer(PAGES[f"{of.kind.lower()}.md"])]
    assert sorted(told) == sorted(wanted)


@pytest.mark.parametrize("name", PAGES)
def test_every_field_says_what_it_is(name: str) -> None:
    rows = list(ROW.finditer(PAGES[name]))
    assert rows
    starts_of_limits = r"(\*\*Required|\*\*Default|One of <|Always <|At least \d|Up to \d|\d)"
    silent = [row[1] for row in rows if not row[4] or re.match(starts_of_limits, row[4])]
    # "0: …", "1 as …" begin with a figure and say something all the same.
    assert [each for each in silent if each not in FIGURES_FIRST] == []


FIGURES_FIRST = {
    "models-resources-gpus",
    "spec-resources-gpus",
    "status-progress-steps",
    "status-video-audio-channels",
}


@pytest.mark.parametrize(
    ("page", "field", "said"),
    [
        pytest.param("texttovideojob.md", "spec-width", "64 to 4096, a multiple of 8.", id="range"),
        pytest.param("texttovideojob.md", "spec-strength", "Above 0, at most 1.", id="open range"),
        pytest.param("texttovideojob.md", "spec-prompt", "**Required.** 1 to 4096", id="required"),
        pytest.param("texttovideojob.md", "spec-trackId", "Up to 256 characters.", id="length"),
        pytest.param("texttovideojob.md", "spec-mode", "<code>Restyle</code>.", id="choice"),
        pytest.param("operator.md", "healthPort", "<code>8080</code>", id="default"),
        pytest.param("operator.md", "storage-embedded-linkSeconds", "At least 60.", id="one kind"),
    ],
)
def test_limits_and_defaults_are_told(page: str, field: str, said: str) -> None:
    (row,) = (each for each in ROW.finditer(PAGES[page]) if each[1] == field)
    assert said in row[4]
