"""The nomenclature: what is read, what is understood as a class, what is refused and with which words."""

import json

import numpy as np
import pytest

from parcelle.errors import InputError
from parcelle.nomenclature import LandClass, Nomenclature

GOOD = """code,name,colour,parent
11,winter wheat,#FFCC00,crops
12,"maize, irrigated",#ff8000,crops
31,forêt,#006400,
"""


def write(folder, text, encoding="utf-8"):
    path = folder / "nomenclature.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def nomenclature(tmp_path):
    return Nomenclature.read(write(tmp_path, GOOD))


def test_classes_are_read_in_the_order_of_the_file(nomenclature):
    assert nomenclature.classes == (
        LandClass(11, "winter wheat", "#ffcc00", "crops"),
        LandClass(12, "maize, irrigated", "#ff8000", "crops"),
        LandClass(31, "forêt", "#006400", ""),
    )
    assert nomenclature.codes == [11, 12, 31]
    assert nomenclature.classes[1].rgb == (255, 128, 0)
    assert nomenclature.name(31) == "forêt"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,  # as Excel writes it
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",#", ", #").replace("11,", " 11 ,"),
        GOOD + "\n\n",
        "parent,colour,name,code\ncrops,#FFCC00,winter wheat,11\n"
        'crops,#ff8000,"maize, irrigated",12\n,#006400,forêt,31\n',
    ],
)
def test_ways_to_write_the_same_file(text, nomenclature, tmp_path):
    assert Nomenclature.read(write(tmp_path, text)) == nomenclature


def test_the_parent_may_be_left_out(tmp_path):
    read = Nomenclature.read(write(tmp_path, "code,name,colour\n1,a,#000000\n2,b,#ffffff\n"))
    assert read.classes == (LandClass(1, "a", "#000000"), LandClass(2, "b", "#ffffff"))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (11, 11),
        (np.int64(12), 12),
        (31.0, 31),
        ("11", 11),
        (" 11 ", 11),
        ("11.0", 11),
        ("forêt", 31),
        (" maize, irrigated ", 12),
        (13, None),
        (11.5, None),
        ("11.5", None),
        ("-11", None),
        ("Forêt", None),
        ("", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        ("9" * 400, None),
        (0, None),
    ],
)
def test_a_class_is_given_by_code_or_name(value, code, nomenclature):
    assert nomenclature.code(value) == code


def test_no_name_for_a_code_that_is_not_there(nomenclature):
    with pytest.raises(KeyError):
        nomenclature.name(99)


@pytest.mark.parametrize(("largest", "dtype"), [(255, "uint8"), (256, "uint16"), (65535, "uint16")])
def test_the_pixel_type_holds_all_codes(largest, dtype, tmp_path):
    text = f"code,name,colour\n{largest},a,#000000\n1,b,#000000\n"
    assert Nomenclature.read(write(tmp_path, text)).dtype == dtype


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,a,#000000,", "line 3: code '0' is not a whole number from 1 to 65535 (0 is no data)."),
        ("65536,a,#000000,", "line 3: code '65536' is not a whole number"),
        ("-1,a,#000000,", "line 3: code '-1' is not a whole number"),
        ("1.5,a,#000000,", "line 3: code '1.5' is not a whole number"),
        ("٣,a,#000000,", "line 3: code '٣' is not a whole number"),
        ("x,a,#000000,", "line 3: code 'x' is not a whole number"),
        (",a,#000000,", "line 3: code '' is not a whole number"),
        ("1, ,#000000,", "line 3: the class has no name."),
        ("1", "line 3: the class has no name."),
        ("1,a,red,", "line 3: colour 'red' is not like #1a9850."),
        ("1,a,#12345,", "line 3: colour '#12345' is not like #1a9850."),
        ("1,a,,", "line 3: colour '' is not like #1a9850."),
        (
            "1,maize, irrigated,#000000,crops",
            "line 3: more values than columns; put a name with a comma in double",
        ),
        ('1,"a\nb",#000000,', "line 4: 'a\\nb' has a line break or another control character."),
        ("1,a\x07,#000000,", "line 3: 'a\\x07' has a line break or another control character."),
        ("2,a,#000000,", "code 2 stands twice."),
        ("1,b,#000000,", "name 'b' stands twice."),
        ("1,2,#000000,", "class 1 has the name '2', which reads as a code."),
        ("1,2.0,#000000,", "class 1 has the name '2.0', which reads as a code."),
    ],
)
def test_a_wrong_line_is_named(line, message, tmp_path):
    path = write(tmp_path, f"code,name,colour,parent\n2,b,#000000,\n{line}\n")
    with pytest.raises(InputError) as error:
        Nomenclature.read(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_the_name_may_be_the_code(tmp_path):
    read = Nomenclature.read(write(tmp_path, "code,name,colour\n1,1,#000000\n2,2,#ffffff\n"))
    assert [read.code("1"), read.code(2)] == [1, 2]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("code,name,parent", "has no column 'colour'; the first line must be code,name,colour,parent."),
        ("code;name;colour;parent", "has no column 'code'"),
        ("code,name,colour,parents", "has a column 'parents' that means nothing here"),
        ("code,name,colour,code", "has two columns 'code'"),
        ("", "has no column 'code'"),
    ],
)
def test_a_wrong_header_is_named(header, message, tmp_path):
    with pytest.raises(InputError) as error:
        Nomenclature.read(write(tmp_path, f"{header}\n1,a,#000000,\n2,b,#000000,\n" if header else ""))
    assert message in str(error.value)


@pytest.mark.parametrize(("lines", "number"), [("", 0), ("1,a,#000000,\n", 1)])
def test_two_classes_are_needed(lines, number, tmp_path):
    with pytest.raises(InputError, match=f"holds {number} classes; a map needs at least two"):
        Nomenclature.read(write(tmp_path, f"code,name,colour,parent\n{lines}"))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nomenclature .*none\.csv cannot be read: No such file"):
        Nomenclature.read(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"nomenclature .* cannot be read: Is a directory"):
        Nomenclature.read(tmp_path)
    with pytest.raises(InputError, match=r"nomenclature .* is not UTF-8: save it with that encoding"):
        Nomenclature.read(write(tmp_path, GOOD, "latin-1"))


def test_plain_values_go_there_and_back(nomenclature):
    content = nomenclature.to_list()
    assert content[0] == {"code": 11, "name": "winter wheat", "colour": "#ffcc00", "parent": "crops"}
    assert Nomenclature.from_list(json.loads(json.dumps(content))) == nomenclature


def test_codes_with_names(nomenclature):
    assert nomenclature.names_by_code() == [(11, "winter wheat"), (12, "maize, irrigated"), (31, "forêt")]


def test_a_file_that_is_no_csv_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nomenclature .* is not a CSV file: field larger than field limit"):
        Nomenclature.read(write(tmp_path, GOOD + "41," + "x" * 200_000 + ",#000000,\n"))
