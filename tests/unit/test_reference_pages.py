import datetime
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from parcelle import reference_pages
from parcelle.errors import SettingsError
from parcelle.settings import Group, Settings, read

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config/config.yaml"
EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))

PRODUCTS = "list of `class`, `confidence`, `validity` or `probability`"
LEAST: dict[str, Any] = {
    "tiles": ["31TGL"],
    "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "images"}},
    "period": {"start": "2018-01-01", "end": "2018-12-31"},
    "reference": {"path": "reference.gpkg", "field": "code"},
    "nomenclature": "nomenclature.csv",
}


def load(path: Path) -> Any:
    # YAML has dates, JSON has none: a schema sees them as text.
    return json.loads(json.dumps(yaml.safe_load(path.read_text()), default=datetime.date.isoformat))


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(reference_pages.schema(), format_checker=jsonschema.FormatChecker())


def rows() -> dict[str, reference_pages.Setting]:
    every = reference_pages.sections(reference_pages.schema())
    return {placed(one.path, section): one for section in every for one in section.settings}


def placed(path: str, section: reference_pages.Section) -> str:
    """Path of a setting; that of one of several groups in one place is told by the group's name."""
    group, _, of_several = section.name.partition(", ")
    return path.strip("`").replace(f"{group}.", f"{group}, {of_several}.", 1) if of_several else path.strip("`")


def groups_in(annotation: Any) -> list[type[Group]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [group for inner in getattr(annotation, "__args__", ()) for group in groups_in(inner)]


def fields(group: type[Group], prefix: str = "") -> dict[str, Any]:
    """All fields below a group, by dotted path, straight from the models and not from their schema."""
    found = {}
    for name, field in group.model_fields.items():
        found[prefix + name] = field
        for place, inner in enumerate(dict.fromkeys(groups_in(field.annotation))):
            within = "<name>." if str(field.annotation).startswith("dict") else ""
            kind = f", {inner.__doc__[0].lower()}{inner.__doc__[1:].rstrip('.')}" if place else ""
            found |= fields(inner, f"{prefix}{name}{kind}.{within}")
    return found


def test_written_files_are_in_step_with_the_settings():
    assert reference_pages.lagging() == [], f"write them again: {reference_pages.COMMAND}"


def test_every_setting_says_what_it_means():
    assert [
        path for path, field in fields(Settings).items() if not (field.description or "").strip().endswith(".")
    ] == []


def test_every_setting_stands_in_the_tables_once():
    every = reference_pages.sections(reference_pages.schema())
    listed = [placed(one.path, section) for section in every for one in section.settings]
    assert sorted(listed) == sorted(fields(Settings))
    assert {"tiles", "sensors.<name>.path", "period.step", "split.ratio", "map.freeze"} <= set(listed)


def test_every_meaning_is_that_of_the_settings():
    found = rows()
    assert {path: one.meaning for path, one in found.items()} == {
        path: field.description or "" for path, field in fields(Settings).items()
    }


def test_every_group_says_what_it_is():
    for section in reference_pages.sections(reference_pages.schema())[1:]:
        assert section.meaning.endswith("."), section.name


def test_required_settings_are_those_of_the_models():
    required = {path for path, one in rows().items() if one.default == "required"}
    assert required == {path for path, field in fields(Settings).items() if field.is_required()}
    assert set(LEAST) == {path for path in required if "." not in path}


def test_defaults_are_those_of_the_models():
    found = rows()
    for path, field in fields(Settings).items():
        if field.is_required() or groups_in(field.annotation):
            continue
        written = found[path].default
        value = None if written == "empty" else yaml.safe_load(written.strip("`"))
        expected = list(field.default) if isinstance(field.default, tuple) else field.default
        assert value == expected, path


@pytest.mark.parametrize(
    ("path", "allowed", "default"),
    [
        ("results", "text, not empty", "`results`"),
        ("tiles", "list of names, at least 1", "required"),
        ("sensors", "[groups](#sensors), each under a name", "required"),
        ("regions", "[group](#regions)", "empty"),
        ("sampling", "[group](#sampling) or `all`", "its defaults"),
        ("seeds", "whole number, 1 to 1000", "`5`"),
        ("period.start", "date", "required"),
        ("period.padding", "whole number, 0 to 366", "`0`"),
        ("sensors.<name>.resampling", "`bilinear`, `cubic` or `nearest`", "`bilinear`"),
        ("sensors.<name>.indices", "list of texts or empty", "empty"),
        ("sensors.<name>.additional", "list of texts", "`[]`"),
        ("split.ratio", "number, more than 0 and less than 1", "`0.5`"),
        ("split.field", "text or empty", "empty"),
        ("model.depth", "whole number, 1 to 1000; or empty", "`25`"),
        ("model.features", "whole number, at least 1; or `sqrt` or `log2`", "`sqrt`"),
        ("map.model", "`all` or list of whole numbers", "`all`"),
        (
            "map.products",
            "list of `class`, `confidence`, `validity` or `probability`",
            "`[class, confidence, validity]`",
        ),
        ("map.freeze", "`true` or `false`", "`false`"),
        ("mosaic.origin", "list of 2 numbers", "`[0, 0]`"),
    ],
)
def test_a_table_says_what_is_allowed_in_words(path, allowed, default):
    one = rows()[path]
    assert (one.allowed, one.default) == (allowed, default)


def test_a_bar_in_a_meaning_does_not_end_its_cell():
    one = reference_pages.Setting("`a`", "text", "`x`", "left | right")
    assert reference_pages.table([one]).splitlines()[-1] == "| `a` | text | `x` | left \\| right |"


def test_links_lead_to_headings():
    text = reference_pages.pages()["docs/reference/settings.md"]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    links = re.findall(r"\(#([^)]+)\)", text)
    assert set(links) <= set(headings)
    assert headings[0] == "The whole file"
    alone = [heading for heading in headings if ", " not in heading]
    assert len(headings) == len(set(headings)) and len(alone) == 1 + len(set(links))
    assert [heading for heading in headings if heading not in alone] == ["model, a classifier of your own"]


def test_both_pages_hold_the_same_tables():
    pages = reference_pages.pages()
    tables = [
        [line for line in pages[path].splitlines() if line.startswith("| `") and not line.startswith("| `config.yaml")]
        for path in ("config/README.md", "docs/reference/settings.md")
    ]
    assert [line for line in tables[0] if not line.startswith("| `examples/")] == tables[1]
    assert len(tables[1]) == len(fields(Settings))


@pytest.mark.parametrize("path", [DEMO, *EXAMPLES], ids=lambda path: path.stem)
def test_the_settings_files_of_the_repository_follow_the_schema(path):
    errors = [f"{error.json_path}: {error.message}" for error in validator().iter_errors(load(path))]
    assert errors == []


def test_there_are_examples():
    assert "flanders-2018" in [path.stem for path in EXAMPLES]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(reference_pages.schema())


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sampling": "all"},
        {"sampling": None},
        {"sampling": {"per_class": 500}},
        {"regions": None},
        {"regions": {"path": "regions.gpkg", "field": "name"}},
        {"model": {"depth": None, "features": 12}},
        {"map": {"model": [0, 2]}},
        {"mosaic": {"crs": "EPSG:3035", "origin": [0, 5.5]}},
    ],
)
def test_the_schema_allows_what_the_settings_allow(change):
    config = LEAST | change
    assert list(validator().iter_errors(config)) == []
    read(config)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"seed": 5}, "$"),
        ({"seeds": 0}, "$.seeds"),
        ({"seeds": "five"}, "$.seeds"),
        ({"tiles": []}, "$.tiles"),
        ({"sampling": "some"}, "$.sampling"),
        ({"split": {"ratio": 1}}, "$.split.ratio"),
        ({"split": {"shuffle": True}}, "$.split"),
        ({"sensors": {"s2": {"format": "stac"}}}, "$.sensors.s2"),
        ({"period": {"start": "2018-01-01", "end": "soon"}}, "$.period.end"),
        ({"map": {"products": ["classes"]}}, "$.map.products[0]"),
        ({"mosaic": {"origin": [0]}}, "$.mosaic.origin"),
    ],
)
def test_the_schema_refuses_what_the_settings_refuse(change, where):
    config = LEAST | change
    assert [error.json_path for error in validator().iter_errors(config)] == [where]
    with pytest.raises(SettingsError):
        read(config)


def test_the_command_writes_all_files_and_then_finds_them_in_step(tmp_path, capsys):
    assert reference_pages.main([], tmp_path) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["config/README.md", "docs/reference/settings.md", "workflow/schemas/config.schema.json"]
    assert reference_pages.main(["--check"], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_the_check_names_what_lags_and_the_command_that_mends(tmp_path, capsys):
    reference_pages.write(tmp_path)
    readme = tmp_path / "config/README.md"
    readme.write_text(readme.read_text().replace("`5`", "`4`"))
    (tmp_path / "workflow/schemas/config.schema.json").unlink()
    assert reference_pages.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        "workflow/schemas/config.schema.json lags behind workflow/parcelle/settings.py.",
        "config/README.md lags behind workflow/parcelle/settings.py.",
        "Write it again: make generate",
    ]
    assert "`4`" in readme.read_text(), "a check writes nothing"
