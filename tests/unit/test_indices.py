"""Indices of the catalogue: by name, as expressions of bands, with the values of their formulas."""

import ast
import json
import zipfile

import numpy as np
import pytest

from parcelle import features, index_list, indices
from parcelle.errors import SettingsError
from parcelle.expressions import parse
from parcelle.programs import Program
from parcelle.sensors import Band
from parcelle.sensors.theia import Sentinel2L2A
from parcelle.settings import Sensor

COMMON = {
    "A": "coastal", "B": "blue", "G": "green", "R": "red", "RE1": "rededge071", "RE2": "rededge075",
    "RE3": "rededge078", "N": "nir", "N2": "nir08", "WV": "nir09", "S1": "swir16", "S2": "swir22",
}  # fmt: skip
EVERY = tuple(Band(f"b{i}", common, 10) for i, common in enumerate(COMMON.values()))
RADAR = tuple(Band(name.lower(), name.lower(), 10, "dB") for name in ("VV", "VH", "HH", "HV"))
SYMBOLS = {**{symbol: f"b{i}" for i, symbol in enumerate(COMMON)}, **{s: s.lower() for s in ("VV", "VH", "HH", "HV")}}

# Thermal bands, bands that only other satellites have, kernels, and constants without a default.
BEYOND = {"T", "T1", "T2", "G1", "Y"}
KERNELS = {"kevi", "kipvi", "kndvi", "krvi", "kvari"}
WITHOUT_DEFAULT = {"crswir", "dviplus", "fai", "fdi", "ndgi", "nirvh2", "nirvp"}


def offered():
    for name, index in indices.catalogue().items():
        if name not in KERNELS | WITHOUT_DEFAULT and not BEYOND & set(index.symbols):
            yield name, RADAR if index.domain == "radar" else EVERY


def value(text, bands, stored):
    """What a feature of an expression would be, of stored values by band ``{name: (pixel,)}``."""
    names = tuple(b.name for b in bands)
    planes = np.zeros((len(names) + 1, len(next(iter(stored.values())))), np.float32)
    planes[:-1] = [stored[name] for name in names]
    undefined = Program.of(parse(text, names), names, 0).run(planes, 0, 1, len(names), len(names))
    assert not undefined.any()
    return planes[-1]


def of_formula(index, stored, radar):
    """The catalogue's formula itself, in Python's arithmetic on float64."""
    unit = (lambda v: 10 ** (v / 10)) if radar else (lambda v: v / 10_000)
    known = {s: unit(stored[band].astype(float)) for s, band in SYMBOLS.items() if band in stored}
    code = compile(ast.parse(index.formula, mode="eval"), index.name, "eval")
    return eval(code, {"__builtins__": {}}, {**indices.constants(), **known})


def random(bands, seed=5):
    """Plausible pixels, apart from each other, in the units of a series."""
    draw = np.random.default_rng(seed)
    if bands is RADAR:
        return {b.name: draw.uniform(-22, -3, 40).astype(np.float32) for b in bands}
    return {b.name: np.rint(draw.uniform(200, 6000, 40)).astype(np.float32) for b in bands}


@pytest.mark.parametrize(("name", "bands"), list(offered()), ids=lambda v: v if isinstance(v, str) else "")
def test_values_are_those_of_the_formula(name, bands):
    index, stored = indices.catalogue()[name], random(bands)
    text, _ = indices.made_of(index, bands)
    with np.errstate(all="ignore"):
        expected = of_formula(index, stored, bands is RADAR)
    defined = np.isfinite(expected)  # roots of negative numbers are not; a test of their own says what they are here
    assert defined.any()
    # What a difference of two values near each other loses in float32 is not what is looked for.
    close = np.isclose(value(text, bands, stored), expected, rtol=2e-3, atol=2e-5)
    assert (close | ~defined).mean() > 0.97


def test_most_of_the_catalogue_is_offered():
    assert len(list(offered())) == 246
    assert len(indices.catalogue()) == 280


# By hand, from the papers: Huete et al. 2002; Frampton et al. 2013; Huete 1988; McFeeters 1996; Gao 1996; Xu 2006.
PIXEL = {"blue": 0.03, "green": 0.08, "red": 0.05, "rededge071": 0.12, "rededge075": 0.30, "rededge078": 0.40,
         "nir": 0.40, "nir08": 0.42, "swir16": 0.20, "swir22": 0.10}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("evi", 2.5 * 0.35 / (0.40 + 6 * 0.05 - 7.5 * 0.03 + 1)),
        ("s2rep", 705 + 35 * ((0.40 + 0.05) / 2 - 0.12) / (0.30 - 0.12)),
        ("savi", 2 * 0.35 / (0.45 + 1)),
        ("ndwi-mcfeeters", (0.08 - 0.40) / 0.48),
        ("ndmi", 0.20 / 0.60),
        ("mndwi", (0.08 - 0.20) / 0.28),
        ("nbr", 0.30 / 0.50),
        ("ireci", (0.40 - 0.05) / (0.12 / 0.30)),
    ],
)
def test_well_known_indices(name, expected):
    bands = Sentinel2L2A.bands
    text, _ = indices.made_of(indices.find(name), [b for b in bands if b.common in PIXEL])
    stored = {b.name: np.array([PIXEL[b.common] * 10_000], np.float32) for b in bands if b.common in PIXEL}
    assert value(text, [b for b in bands if b.common in PIXEL], stored)[0] == pytest.approx(expected, rel=1e-5)


def recipe_indices(names, **settings):
    sensor = Sensor.model_validate({"format": "sentinel2-theia-l2a", "path": "images", "indices": names, **settings})
    return features._indices(sensor, Sentinel2L2A())


def test_names_in_any_case_and_parcelles_own_meaning_first():
    found = recipe_indices(["NDVI", "Ndwi", "EVI", "s2rep", "NDWI-McFeeters", "Brightness"])
    assert [name for name, _, _ in found] == ["ndvi", "ndwi", "evi", "s2rep", "ndwi-mcfeeters", "brightness"]
    assert [scale for _, _, scale in found] == [10_000, 10_000, 0, 0, 10_000, 1]
    texts = {name: text for name, text, _ in found}
    assert texts["ndvi"] == "(b8-b4)/(b8+b4)"
    assert texts["ndwi"] == "(b11-b8)/(b11+b8)"
    assert texts["ndwi-mcfeeters"] == "(b3 - b8) / (b3 + b8)"
    evi = "2.5 * (b8 / 10000 - b4 / 10000) / (b8 / 10000 + 6.0 * (b4 / 10000) - 7.5 * (b2 / 10000) + 1.0)"
    assert texts["evi"] == evi


def test_only_normalised_differences_of_two_bands_are_integers():
    scales = {name: scale for name, _, scale in recipe_indices(["mndwi", "bi", "gndvi", "wdrvi", "ndsi"])}
    assert scales == {"mndwi": 10_000, "bi": 0, "gndvi": 10_000, "wdrvi": 0, "ndsi": 10_000}


def test_formulas_that_are_the_same_for_a_multiple_of_the_bands_are_not_divided():
    texts = {name: text for name, text, _ in recipe_indices(["s2rep", "ireci", "tvi", "gemi"])}
    assert "10000" not in texts["s2rep"]
    assert "b5 / 10000" in texts["ireci"]
    assert texts["tvi"] == "maximum((b8 - b4) / (b8 + b4) + 0.5, 0) ** 0.5"
    assert "b8 / 10000" in texts["gemi"]


def test_roots_are_defined_everywhere():
    """TVI = √(NDVI + 0.5), over water."""
    stored = {"b4": np.array([3000, 1000], np.float32), "b8": np.array([100, 3000], np.float32)}
    bands = [b for b in Sentinel2L2A.bands if b.name in stored]
    found = value(indices.made_of(indices.find("TVI"), bands)[0], bands, stored)
    assert found.tolist() == [0, 1]


def test_division_by_zero_is_zero():
    stored = {"b4": np.zeros(1, np.float32), "b8": np.zeros(1, np.float32)}
    bands = [b for b in Sentinel2L2A.bands if b.name in stored]
    assert value(indices.made_of(indices.find("sr"), bands)[0], bands, stored).tolist() == [0]


def test_the_near_infrared_of_landsat_is_one():
    bands = [Band("b4", "red", 30), Band("b5", "nir08", 30)]
    assert indices.made_of(indices.find("dvi"), bands)[0] == "b5 / 10000 - b4 / 10000"


def test_polarisations_are_linear_power():
    index, stored = indices.find("VVVHR"), {"vv": np.array([-10], np.float32), "vh": np.array([-20], np.float32)}
    bands = [b for b in RADAR if b.name in stored]
    text, normalised = indices.made_of(index, bands)
    assert value(text, bands, stored)[0] == pytest.approx(10, rel=1e-5)
    assert not normalised
    assert not indices.made_of(indices.find("ndpoli"), bands)[1]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ndvii", "indices: no index 'ndvii'; near names are ndvi, ndii, "),
        ("evy", "indices: no index 'evy'; near names are evi, "),
        ("quxzzzz", "indices: no index 'quxzzzz'; the page `Indices` of the documentation lists all"),
        (
            "bai",
            "indices: 'bai' may be BAI (Burned Area Index) or BaI (Bareness Index); write it so, with its capitals",
        ),
        ("kNDVI", "indices: 'kndvi' is made of kernels (kNN, kNR), which are not offered"),
        (
            "NIRvP",
            "indices: 'nirvp' needs the constant PAR, which has no default: write it in `additional`, as "
            "(N - R) / (N + R) * N * PAR",
        ),
    ],
)
def test_what_is_not_offered_is_refused_by_name(name, sentence):
    with pytest.raises(SettingsError) as error:
        index = indices.find(name, ("ndvi", "ndwi"))
        indices.made_of(index, EVERY)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("names", "bands", "sentence"),
    [
        (["S2REP"], ["b4", "b5", "b7"], "'s2rep' cannot be made of the bands b4, b5, b7: it needs rededge075"),
        (["NDWI"], ["b3", "b8"], "'NDWI' cannot be made of the bands b3, b8: it needs swir16, nir"),
        (["ebbi"], ["b8", "b11"], "'ebbi' cannot be made of the bands b8, b11: it needs lwir"),
        (["vvvhr"], ["b8"], "'vvvhr' cannot be made of the bands b8: it needs vh, vv"),
        (["mSR705"], ["b5", "b6"], "'mSR705' cannot be made of the bands b5, b6: it needs coastal"),
        (["evi", "EVI"], ["b2", "b4", "b8"], "'evi' would be a feature twice"),
    ],
)
def test_bands_that_lack_are_named(names, bands, sentence):
    with pytest.raises(ValueError, match="indices") as error:
        recipe_indices(names, bands=bands)
    assert sentence in str(error.value)


def test_ambiguous_names_keep_their_capitals():
    found = recipe_indices(["BAI", "BaI"])
    assert [name for name, _, _ in found] == ["BAI", "BaI"]
    assert found[1][1] == "b4 / 10000 + b11 / 10000 - b8 / 10000"


def test_no_index_hides_one_of_parcelles():
    assert not set(features.OWN) & (set(indices.catalogue()) - {"ndvi"})
    assert indices.catalogue()["ndvi"].formula == "(N - R) / (N + R)"


def test_the_list_names_its_source_and_its_licence():
    content = json.loads(indices.CATALOGUE.read_text(encoding="utf-8"))
    assert content["source"].startswith("Awesome Spectral Indices, as in spyndex ")
    assert content["licence"].startswith("MIT License")
    assert "Permission is hereby granted" in content["licence"]


def test_the_list_is_taken_from_a_wheel(tmp_path, monkeypatch):
    facts = {"long_name": "New | Index", "application_domain": "soil", "formula": "g*(N-R)/(N+R)", "reference": "x"}
    files = {
        "spyndex/data/spectral-indices-dict.json": {"SpectralIndices": {"NEW": facts, "NDWI": facts}},
        "spyndex/data/constants.json": {"g": {"default": 2.5, "description": "Gain"}, "PAR": {"default": None}},
    }
    with zipfile.ZipFile(tmp_path / "spyndex-9.1.0-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, json.dumps(content))
        wheel.writestr("spyndex-9.1.0.dist-info/licenses/LICENSE", "MIT License …")
    for module, name in ((index_list, "CATALOGUE"), (indices, "CATALOGUE"), (index_list, "PAGE")):
        monkeypatch.setattr(module, name, tmp_path / name)
    cached = (indices._content, indices.catalogue, indices.constants)
    try:
        for one in cached:
            one.cache_clear()
        index_list.main([str(tmp_path / "spyndex-9.1.0-py3-none-any.whl")])
        assert indices.find("new").formula == "g * (N - R) / (N + R)"
        assert list(indices.catalogue()) == ["ndwi-mcfeeters", "new"]
        assert indices.constants() == {"PAR": None, "g": 2.5}
    finally:
        for one in cached:
            one.cache_clear()
    page = (tmp_path / "PAGE").read_text(encoding="utf-8")
    assert "as in spyndex 9.1.0. Its NDWI" in page
    assert "| `new` | New \\| Index | `g * (N - R) / (N + R)` | `nir`, `red` | soil | <x> |" in page


def test_the_page_is_in_step_with_the_list():
    assert index_list.PAGE.read_text(encoding="utf-8") == index_list.page(), "run python -m parcelle.index_list"
