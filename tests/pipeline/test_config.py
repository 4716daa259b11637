"""params.yaml is read strictly: every slip is one line that names its key; registries stay lazy."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from pydantic import field_validator

from pipeline.config import (
    MAX_PARAMS_BYTES,
    Registry,
    Section,
    load_params,
    lookup,
    ordered,
    section,
    snake_case,
)
from pipeline.errors import ParamsError
from tests.conftest import ROOT


class Inner(Section):
    """A part of a part."""

    batch_size: int
    ranges: tuple[float, ...]


class Example(Section):
    """One field of each type that params.yaml uses."""

    count: int
    rate: float
    name: str
    flag: bool
    mode: Literal["min", "max"]
    size_range: tuple[float, float]
    inner: Inner

    _ordered = field_validator("size_range")(ordered)


GOOD = """\
part:
  count: 3
  rate: 1e-4
  name: fox
  flag: true
  mode: min
  size_range: [0.5, 2]
  inner: {batch_size: 8, ranges: [1.0, 2.0, 3.0]}
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "params.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes) -> Example:
    return section(load_params(write(folder, text)), "part", Example)


def message(folder: Path, text: str | bytes) -> str:
    """The one line that a broken file ends in."""
    with pytest.raises(ParamsError) as caught:
        read(folder, text)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 700
    return line


def test_a_good_file_becomes_a_frozen_section(tmp_path: Path) -> None:
    example = read(tmp_path, GOOD)
    assert example.count == 3 and example.name == "fox" and example.flag is True
    assert example.rate == 0.0001 and isinstance(example.rate, float)
    assert example.size_range == (0.5, 2.0) and example.inner.ranges == (1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="frozen"):
        example.count = 4  # type: ignore[misc]


WHOLE, NUMBER = "must be a whole number, not", "must be a number, not"
# (what the good file says, what this one says instead, what the error must say)
SLIPS = {
    "a word for a number": ("count: 3", "count: three", f"part.count {WHOLE} 'three'; mend"),
    "a quoted number": ("count: 3", "count: '3'", f"part.count {WHOLE} '3'; remove the quotes"),
    "a bool for an int": ("count: 3", "count: true", f"part.count {WHOLE} true;"),
    "a fraction for an int": ("count: 3", "count: 3.0", f"part.count {WHOLE} 3.0;"),
    "a bool for a float": ("rate: 1e-4", "rate: false", f"part.rate {NUMBER} false;"),
    "a quoted float": ("rate: 1e-4", "rate: '1e-4'", f"part.rate {NUMBER} '1e-4'; remove the"),
    "a number for a text": ("name: fox", "name: 7", "part.name must be text, not 7; put it in"),
    "an int for a bool": ("flag: true", "flag: 1", "part.flag must be true or false, not 1;"),
    "a YAML 1.1 bool": ("flag: true", "flag: yes", "part.flag must be true or false, not 'yes';"),
    "null": ("count: 3", "count: null", f"part.count {WHOLE} null;"),
    "nothing after the colon": ("count: 3", "count:", f"part.count {WHOLE} null;"),
    "a missing key": ("  count: 3\n", "", "part.count is missing; add it"),
    "a missing inner key": ("batch_size: 8, ", "", "part.inner.batch_size is missing; add it"),
    "an unknown choice": ("mode: min", "mode: minn", "part.mode must be one of min, max, not "
                          "'minn'; did you mean 'min'?"),
    "a typo": ("count: 3", "cuont: 3", "part.cuont is an unknown key; did you mean 'count'?"),
    "an inner typo": ("batch_size: 8", "batchsize: 8", "part.inner.batchsize is an unknown key; "
                      "did you mean 'batch_size'?"),
    "a stranger": ("count: 3", "count: 3\n  zz: 1", "part.zz is an unknown key; remove it"),
    "a reversed range": ("[0.5, 2]", "[2, 0.5]", "part.size_range must go from low to high, not "
                         "[2, 0.5];"),
    "a range of three": ("[0.5, 2]", "[0.5, 1, 2]", "part.size_range must be a list of two values"),
    "a range of one": ("[0.5, 2]", "[0.5]", "part.size_range must be a list of two values, low "
                       "and high, not [0.5];"),
    "a range of none": ("[0.5, 2]", "[]", "part.size_range must be a list of two values"),
    "a scalar for a range": ("[0.5, 2]", "0.5", "part.size_range must be a list, not 0.5;"),
    "a list for a section": ("{batch_size: 8, ranges: [1.0, 2.0, 3.0]}", "[8]",
                             "part.inner must be a map of keys, not [8];"),
    "a number too large": ("count: 3", "count: 1" + "0" * 40, "part.count: is too large a number"),
    "infinity": ("rate: 1e-4", "rate: .inf", "part.rate: inf is not a finite number"),
    "minus infinity": ("rate: 1e-4", "rate: -.inf", "part.rate: -inf is not a finite number"),
    "not a number": ("rate: 1e-4", "rate: .nan", "part.rate: nan is not a finite number"),
    "an overflow": ("rate: 1e-4", "rate: 1e400", "part.rate: inf is not a finite number"),
    "infinity in a list": ("[1.0, 2.0", "[1.0, .inf", "part.inner.ranges.1: inf is not a finite"),
    "a date": ("name: fox", "name: 2020-01-01", "part.name: a date cannot stand here"),
    "bytes": ("name: fox", "name: !!binary aGk=", "part.name: a bytes cannot stand here"),
    "a set": ("name: fox", "name: !!set {a, b}", "part.name: a set cannot stand here"),
    "a number as key": ("count: 3", "count: 3\n  5: 1", "part: key 5 is no text"),
    "a list as key": ("count: 3", "count: 3\n  ? [1, 2]\n  : 1", "part: key [1, 2] is no text"),
    "a key with a newline": ("count: 3", 'count: 3\n  "a\\nb": 1', "is an unknown key"),
    "a newline key of nan": ("count: 3", 'count: 3\n  "a\\nb": .nan', "is not a finite number"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_that_names_its_key(tmp_path: Path, slip: str) -> None:
    good, bad, said = SLIPS[slip]
    assert GOOD.count(good) == 1
    line = message(tmp_path, GOOD.replace(good, bad))
    assert said in line
    assert " | " not in line, "one complaint a slip"


# files that are not read at all, and what the error must say
FILES: dict[str, tuple[str | bytes, str]] = {
    "a duplicate key": ("part:\n  a: 1\n  a: 2\n", "line 3: key 'a' is there twice; keep one"),
    "a duplicate section": ("part: {}\npart: {}\n", "line 2: key 'part' is there twice;"),
    "a tab": ("part:\n\ta: 1\n", "line 2"),
    "a python tag": ("part: !!python/object/apply:os.system [echo]\n", "python/object"),
    "a tag of no one": ("part: !mine 1\n", "!mine"),
    "an unknown alias": ("part: *nobody\n", "nobody"),
    "an open bracket": ("part: [1, 2\n", "is not valid YAML"),
    "two documents": ("part: 1\n---\npart: 2\n", "single document"),
    "a mapping as key": ("? {a: 1}\n: 2\n", "unhashable key"),
    "a null byte": (b"part: \0\n", "is not valid YAML"),
    "UTF-16": ("part: 1\n".encode("utf-16"), "is not valid YAML"),
    "an endless integer": ("part: " + "1" * 5000, "is not valid YAML"),
    "nothing": ("", "holds no sections"),
    "a list": ("- 1\n", "holds no sections"),
    "a scalar": ("hello\n", "holds no sections"),
    "too many bytes": ("part: " + "x" * MAX_PARAMS_BYTES, "is no params file"),
    "nested mappings": ("part: " + "{a: " * 40 + "1" + "}" * 40, "nested too deep"),
    "a thousand brackets": ("part: " + "[" * 1500 + "]" * 1500, "nested too deep"),
    "a loop of aliases": ("part: &a [*a]\n", "nested too deep"),
    "an alias bomb": (
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "values",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_params_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    text, said = FILES[kind]
    line = message(tmp_path, text)
    assert "params.yaml" in line and said in line


def test_a_python_tag_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    message(tmp_path, f"part: !!python/object/apply:os.system ['touch {marker}']\n")
    assert not marker.exists()


@pytest.mark.parametrize("name", [".", "absent.yaml"])
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParamsError, match="name a readable params file"):
        load_params(tmp_path / name)


def test_every_broken_key_is_told_at_once(tmp_path: Path) -> None:
    line = message(tmp_path, GOOD.replace("count: 3", "count: x").replace("flag: true", "flag: 2"))
    assert "part.count" in line and "part.flag" in line


def test_a_long_value_is_cut_in_the_error(tmp_path: Path) -> None:
    line = message(tmp_path, GOOD.replace("count: 3", f"count: {'x' * 5000}"))
    assert "part.count" in line and "xxx..." in line


def test_a_missing_section_names_its_neighbour() -> None:
    params = {"systems": {"dual_decoder": {}}}
    with pytest.raises(ParamsError, match=r"systems\.dual_decodr: is missing.*'dual_decoder'"):
        lookup(params, "systems.dual_decodr")
    with pytest.raises(ParamsError, match=r"systems\.dual_decoder\.x: is missing"):
        lookup(params, "systems.dual_decoder.x.y")


def test_merge_keys_and_anchors_still_work(tmp_path: Path) -> None:
    params = load_params(write(tmp_path, "a: &a {x: 1}\nb: {<<: *a, y: 2}\n"))
    assert params["b"] == {"x": 1, "y": 2}


class Fox:
    """An entry."""


class RedFox:
    """Another."""


def foxes(package: str | None = None) -> Registry[type]:
    registry: Registry[type] = Registry("animal", package)
    registry.add(RedFox)
    return registry


def test_a_registry_finds_what_was_added() -> None:
    registry = foxes()
    assert registry.add(Fox) is Fox
    assert registry["red_fox"] is RedFox and registry["fox"] is Fox
    assert list(registry) == registry.names() == ["fox", "red_fox"]
    assert "fox" in registry and "cat" not in registry and 3 not in registry


def test_a_second_entry_of_a_name_is_an_error() -> None:
    registry = foxes()
    twin = type("RedFox", (), {})
    with pytest.raises(ValueError, match="animal 'red_fox' is registered twice"):
        registry.add(twin)
    assert registry["red_fox"] is RedFox


def test_an_unknown_name_is_told_with_its_neighbour() -> None:
    with pytest.raises(ParamsError, match=r"animal 'redfox'.*use one of red_fox, did you mean"):
        foxes()["redfox"]


@pytest.mark.parametrize("name", ["../grain", "os.path", "Grain", "__init__", "", "grain\n", "é"])
def test_a_name_that_is_no_module_name_imports_nothing(name: str) -> None:
    registry = foxes("pipeline.corruptions")
    assert name not in registry
    with pytest.raises(ParamsError, match="is not known"):
        registry[name]


def test_snake_case_of_class_names() -> None:
    names = {"DualDecoder": "dual_decoder", "Div2k": "div2k", "psnr": "psnr", "A": "a"}
    assert {name: snake_case(name) for name in names} == names


LAZY = """
import sys
from pathlib import Path
from pipeline import corruptions
from pipeline.corruptions import CORRUPTIONS
home = Path(corruptions.__file__).parent
families = {p.stem for p in home.glob("*.py") if "@CORRUPTIONS.add" in p.read_text("utf-8")}
def loaded():
    return {name for name in families if f"pipeline.corruptions.{name}" in sys.modules}
assert loaded() == set(), loaded()
assert "nonsense" not in CORRUPTIONS and loaded() == set()
assert CORRUPTIONS["grain"].__name__ == "Grain" and loaded() == {"grain"}, loaded()
assert "shapes" in CORRUPTIONS and loaded() == {"grain", "shapes"}, loaded()
assert {"grain", "grayscale", "shapes", "texture"} <= set(CORRUPTIONS.names()) == loaded()
"""


def test_asking_for_one_corruption_imports_no_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAZY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


BROKEN = """
import sys
sys.path.insert(0, {folder!r})
from pipeline.config import Registry
registry = Registry("thing", "things")
try:
    "broken" in registry
except ModuleNotFoundError as error:
    sys.exit(0 if error.name == "no_such_wheel" else 1)
sys.exit(2)
"""


def test_an_entry_that_lacks_a_wheel_says_so_and_is_not_called_unknown(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / "things/__init__.py").write_text("")
    (tmp_path / "things/broken.py").write_text("import no_such_wheel\n")
    code = BROKEN.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
