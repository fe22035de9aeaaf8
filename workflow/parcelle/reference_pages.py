"""Write what follows from the settings: ``python -m parcelle.reference_pages``; with ``--check``, only compare.

The JSON schema, the table in `config/README.md` and the page of the documentation all come from `settings.py`.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from parcelle.settings import Settings

ROOT = Path(__file__).parents[2]
COMMAND = "make generate"

Node = dict[str, Any]

_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "object": "a group",
}
_BOUNDS = {
    "minLength": "not empty",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
}
_NAMES = "^[A-Za-z0-9][A-Za-z0-9_-]*$"
_NAME = "A *name* is made of letters, digits, `_` and `-`, and starts with a letter or digit."

_CONFIG_README = """\
# Settings

<!-- Written from workflow/parcelle/settings.py by `make generate`: change it there. -->

| file | what it maps |
|---|---|
| `config.yaml` | the generated country of `make demo`; used where no `--configfile` is given |
| `examples/flanders-2018.yaml` | a real patch of Flanders; its first lines say where the images must be |

Settings of your own go into a file of their own: `snakemake --configfile mine.yaml --cores 8`. Nothing of
`config.yaml` is merged into it.
"""

_PAGE = """\
# Settings

<!-- Written from workflow/parcelle/settings.py by `make generate`: change it there. -->

A settings file is YAML. What is marked as required must be in it; all else has a default. A required setting of a
group that may be left out is required where the group is there. Every setting is checked before any job starts: one
that is unknown, or has a value that is not allowed, stops the run with its path in the file, what was found and what is
allowed. Relative paths start at the folder that `snakemake` runs in.

`workflow/schemas/config.schema.json` holds the same as a JSON schema. An editor with the YAML language server
completes and checks a settings file that starts with

```yaml
# yaml-language-server: $schema=/path/to/parcelle/workflow/schemas/config.schema.json
```
"""


@dataclass(frozen=True)
class Setting:
    """A line of a table: dotted path, what is allowed, default, meaning; all as Markdown."""

    path: str
    allowed: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """The settings of a group; `name` is empty for those of the file as a whole."""

    name: str
    meaning: str
    settings: tuple[Setting, ...]


class _Untitled(GenerateJsonSchema):
    """JSON schema without the titles that pydantic makes of names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say no."""
        return False


def schema() -> Node:
    """JSON schema (draft 2020-12) of a settings file."""
    content = Settings.model_json_schema(schema_generator=_Untitled)
    places = content["properties"]
    # The short forms, which validators of the settings turn into groups.
    places["sampling"]["anyOf"] = [{"$ref": places["sampling"].pop("$ref")}, {"enum": ["all", None]}]
    places["area"]["anyOf"].insert(1, {"type": "string", "minLength": 1})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content, "title": "Settings of Parcelle"}


def sections(content: Node) -> list[Section]:
    """Tables of all settings: those of the file as a whole, then group by group.

    Args:
        content: JSON schema from `schema`.

    """
    whole = Section("", "", tuple(_settings(content, "", content)))
    return [whole, *(one for name, node in content["properties"].items() for one in _sections(name, node, content))]


def _sections(name: str, node: Node, content: Node) -> Iterator[Section]:
    """Tables of the groups of which a setting holds one; all but the first are called by what they are, too."""
    prefix = f"{name}.<name>." if "patternProperties" in node else f"{name}."
    for place, group in enumerate(_groups(node, content)):
        meaning = group["description"]
        called = f"{name}, {meaning[0].lower()}{meaning[1:].rstrip('.')}" if place else name
        yield Section(called, meaning, tuple(_settings(group, prefix, content)))


def _settings(group: Node, prefix: str, content: Node) -> Iterator[Setting]:
    """Settings of a group, and of the groups in it; groups of the file as a whole have sections of their own."""
    for name, node in group["properties"].items():
        required, inner = name in group.get("required", ()), _group(node, content)
        link = _below(node) if prefix else _link(name, node)
        default = "required" if required else _default(node, content)
        yield Setting(f"`{prefix}{name}`", link if inner else _allowed(node), default, node.get("description", ""))
        if inner and prefix:
            yield from _settings(inner, f"{prefix}{name}.{'<name>.' if _named(node) else ''}", content)


def _group(node: Node, content: Node) -> Node | None:
    """Group of settings that a setting holds, if it does; the first of several."""
    return next(iter(_groups(node, content)), None)


def _groups(node: Node, content: Node) -> list[Node]:
    """Groups of settings of which a setting holds one."""
    inside = [node, *node.get("anyOf", ()), *node.get("oneOf", ()), *_named(node), node.get("items", {})]
    return [content["$defs"][part["$ref"].rpartition("/")[2]] for part in inside if "$ref" in part]


def _named(node: Node) -> list[Node]:
    """What a setting holds under names of the user's."""
    return [*node.get("patternProperties", {}).values()]


def _below(node: Node) -> str:
    """Say of a setting in a group that it holds a group, whose settings follow."""
    if _named(node):
        return "groups of the settings below, each under a name"
    return "list of groups of the settings below" if node.get("type") == "array" else "the settings below, or empty"


def _link(name: str, node: Node) -> str:
    if "patternProperties" in node:
        return f"[groups](#{name}), each under a name"
    parts = node.get("anyOf", ())
    short = [f"`{choice}`" for part in parts for choice in part.get("enum", ()) if choice]
    short += [_word(part) for part in parts if part.get("type") == "string"]
    return " or ".join([f"[group](#{name})", *short])


def _allowed(node: Node) -> str:
    """Say in words what a value may be."""
    if "anyOf" in node:
        choices = ["empty" if part.get("type") == "null" else _allowed(part) for part in node["anyOf"]]
        return ("; or " if any("," in choice for choice in choices) else " or ").join(choices)
    if "enum" in node or "const" in node:
        return _listed([f"`{value}`" for value in node.get("enum", [node.get("const")])])
    if node["type"] == "array":
        return _list_of(node)
    return ", ".join([_word(node), *_bounds(node)])


def _word(node: Node) -> str:
    if node.get("pattern") == _NAMES:
        return "name"
    return "date" if node.get("format") == "date" else _WORDS[node["type"]]


def _bounds(node: Node) -> list[str]:
    if {"minimum", "maximum"} <= set(node):
        return [f"{node['minimum']} to {node['maximum']}"]
    words = [text.format(node[key]) for key, text in _BOUNDS.items() if key in node]
    return [" and ".join(words)] if words else []


def _list_of(node: Node) -> str:
    if "prefixItems" in node:
        return f"list of {len(node['prefixItems'])} {_word(node['prefixItems'][0])}s"
    items = _allowed(node["items"]) if "enum" in node["items"] else f"{_word(node['items'])}s"
    return f"list of {items}" + (f", at least {node['minItems']}" if "minItems" in node else "")


def _listed(texts: Sequence[str]) -> str:
    """Join words with commas and, at the end, `or`."""
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _default(node: Node, content: Node) -> str:
    value = node["default"]
    if value is None:
        return "empty"
    if _group(node, content) and value not in ([], {}):
        return "its defaults"
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000)
    return f"`{text.splitlines()[0]}`"


def table(settings: Sequence[Setting]) -> str:
    """Write settings as a Markdown table."""
    lines = ["| setting | allowed | default | meaning |", "|---|---|---|---|"]
    for one in settings:
        cells = (cell.replace("|", "\\|") for cell in (one.path, one.allowed, one.default, one.meaning))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def body(every: Sequence[Section]) -> str:
    """Write all tables as Markdown, a heading of the second level each."""
    parts = [_NAME]
    for section in every:
        heading = f"## {section.name or 'The whole file'}"
        parts += [heading, *filter(None, [section.meaning]), table(section.settings)]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Content of every file that is written, by its path below the root of the repository."""
    content = schema()
    tables = body(sections(content))
    return {
        "workflow/schemas/config.schema.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        "config/README.md": f"{_CONFIG_README}\n{tables}",
        "docs/reference/settings.md": f"{_PAGE}\n{tables}",
    }


def lagging(root: Path = ROOT) -> list[str]:
    """Paths of the files that are missing or not what would be written."""
    return [path for path, text in pages().items() if not (root / path).is_file() or _read(root / path) != text]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def write(root: Path = ROOT) -> None:
    """Write all files."""
    for path, text in pages().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def main(words: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.reference_pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file lags behind")
    if not parser.parse_args(words).check:
        write(root)
        return 0
    behind = lagging(root)
    for path in behind:
        print(f"{path} lags behind workflow/parcelle/settings.py.")
    if behind:
        print(f"Write it again: {COMMAND}")
    return 1 if behind else 0


if __name__ == "__main__":
    raise SystemExit(main())
