"""Write what is taken of the catalogue of indices: ``python -m parcelle.index_list spyndex-0.12.0-py3-none-any.whl``.

The wheel is that of `spyndex`, from ``pip download --no-deps spyndex``. Without a wheel, only the page of the
documentation is written, from the list that is there.
"""

import argparse
import ast
import json
import textwrap
import zipfile
from collections.abc import Sequence
from pathlib import Path

from parcelle.indices import CATALOGUE, SYMBOLS, Index, catalogue, constants

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "indices.md"

_HEAD = """\
# Indices

<!-- Written from workflow/parcelle/indices.json by `python -m parcelle.index_list`. -->

`sensors.<name>.indices` takes the names below, in lower or upper case. Three mean what they do in iota2:
[`ndvi`, `ndwi` and `brightness`](../explanation/numerics.md#features). The others are those of the catalogue
[Awesome Spectral Indices](https://github.com/awesome-spectral-indices/awesome-spectral-indices) (Montero et al. 2023,
doi:10.1038/s41597-023-02096-0), as in {version}. Its NDWI (McFeeters 1996) is `ndwi-mcfeeters`. Two pairs
differ in nothing but their capitals; these are to be written as they stand here.

```yaml
sensors:
  s2:
    indices: [ndvi, ndwi, EVI, S2REP, ndwi-mcfeeters]
```

Formulas are of reflectances from 0 to 1, whatever the series hold, and of linear power for polarisations. x / 0 is 0;
what is raised to a power that is no whole number is taken to be at least 0, so that a root is defined everywhere. A
normalised difference of two bands, (a − b) / (a + b), is an integer, × 10,000, as NDVI is; any other index is a 32-bit
float, as it is, and makes all features so.

{constants}

A band stands for the one that has its common name: `nir` for band 8 of Sentinel-2 and the near infrared of Landsat,
`nir08` for band 8A. An index is refused if the sensor, or its setting `bands`, lacks a band of it. Thermal bands have a
series of their own, so indices that mix them with reflectances are refused, too; as are those made of kernels, and
those that need a constant without a default. What is not offered can be written in `additional`.

{table}
"""


def read(wheel: str) -> str:
    """Take the facts from a wheel of spyndex: names, formulas, references, constants; and its licence."""
    with zipfile.ZipFile(wheel) as archive:
        indices = json.loads(archive.read("spyndex/data/spectral-indices-dict.json"))
        defaults = json.loads(archive.read("spyndex/data/constants.json"))
        licence = next(name for name in archive.namelist() if name.endswith("LICENSE"))
        content = {
            "source": f"Awesome Spectral Indices, as in {Path(wheel).name.rpartition('-py')[0].replace('-', ' ')}",
            "licence": archive.read(licence).decode(),
            "constants": {name: defaults[name]["default"] for name in sorted(defaults)},
            "indices": {name: _facts(facts) for name, facts in sorted(indices.get("SpectralIndices", indices).items())},
        }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _facts(facts: dict[str, str]) -> list[str]:
    """Title, domain, formula and reference, as `Index` has them."""
    return [facts["long_name"], facts["application_domain"], _plain(facts["formula"]), facts["reference"]]


def _plain(formula: str) -> str:
    """A formula with spaces that are the same everywhere."""
    return ast.unparse(ast.parse(formula, mode="eval"))


def page() -> str:
    """The page of the documentation."""
    lines = ["| name | index | formula | bands | for | from |", "|---|---|---|---|---|---|"]
    lines += [_line(index) for _, index in sorted(catalogue().items(), key=lambda pair: pair[0].lower())]
    used = {symbol for index in catalogue().values() if index.domain != "kernel" for symbol in index.symbols}
    values = ", ".join(
        f"{name} = {value:g}" for name, value in constants().items() if value is not None and name in used
    )
    defaults = textwrap.fill(f"Constants have the catalogue's defaults: {values}.", 120)
    version = json.loads(CATALOGUE.read_text(encoding="utf-8"))["source"].partition("in ")[2]
    return _HEAD.format(version=version, constants=defaults, table="\n".join(lines))


def _line(index: Index) -> str:
    bands = ", ".join(f"`{SYMBOLS[symbol][0]}`" for symbol in index.symbols if symbol in SYMBOLS)
    title = index.title.replace("|", "\\|")
    return f"| `{index.name}` | {title} | `{index.formula}` | {bands} | {index.domain} | <{index.reference}> |"


def main(words: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.index_list", description=__doc__)
    parser.add_argument("wheel", nargs="?")
    if wheel := parser.parse_args(words).wheel:
        CATALOGUE.write_text(read(wheel), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
