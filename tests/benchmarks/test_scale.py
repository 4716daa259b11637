"""The arithmetic of scale adds up."""

import pytest

from benchmarks import scale


def test_a_table_for_a_billion_comes_of_measured_rates(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = scale.Sizes(
        ("shapes",), ("png", "story"), side=64, per_photo=2, repeats=1, planned=(3, 40),
        megapixels=0.5, overlays=(7, 64),
    )  # fmt: skip
    rows = {row["id"]: row["ours"] for row in scale.main(sizes)}
    printed = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in printed[2].split("|")[1:-1]]
    assert cells[:2] == ["shapes", "png"] and len(printed[0].split("|")) - 2 == len(cells)
    hours, terabytes = float(cells[4].replace(",", "")), float(cells[6])
    assert hours == pytest.approx(1e9 / rows["scale-shapes-png"] / 3600, rel=0.01, abs=1)
    assert terabytes == pytest.approx(rows["scale-shapes-png-bytes"] / 1e3, abs=1)
    assert rows["scale-shapes-story-bytes"] < rows["scale-shapes-png-bytes"]
    assert 100 < rows["scale-plan-bytes"] < 2000


def test_hours_terabytes_and_gigabytes_a_second() -> None:
    line = scale.table([scale.Cost("r", "png", 0.0036, 100_000)]).splitlines()[2]
    assert line == "| r | png | 278 | 100 | 1,000 | 1.0 | 100 | 102 | 27.8 |"
