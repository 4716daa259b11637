"""What is better is told as far as it is certain; what was measured on other samples is refused."""

import io

import pytest

from pipeline.comparison import compare, differences, most_changed, report
from pipeline.comparison.page import Looks, build, difference_map, shown_keys
from pipeline.comparison.sides import Side, parse_rows, read_pictures, read_side
from pipeline.comparison.words import family_table, metric_table, samples_told, sentence
from pipeline.errors import ParamsError
from pipeline.files import to_json
from pipeline.report import to_csv
from tests.pipeline.compared import restore, rows_of, samples, write_evaluation

TOLD = {"recipe": "shapes", "test_sha256": "0" * 64, "system": "one"}


def side(label="a", rows=None, strength=20, **own):
    """A side of a system that leaves noise of this strength; `own`: by family."""
    return Side(label, label, None, TOLD, rows or rows_of(restore(strength, **own)))


def compared(a, b, picture="composite", metric="psnr"):
    return compare(a, b, picture, metric, 7)


@pytest.fixture(scope="module")
def better():
    """B halves the noise of A, on dust; on folds it doubles it."""
    return compared(side(), side("b", dust=5, folds=30))


# sentences


def test_what_is_better_is_told_with_its_interval():
    found = compared(side(), side("b", strength=10))
    told = sentence(found)
    main = found.main
    assert told == f"B is better by {main.difference:.2f} dB, 95 % interval " \
        f"{main.interval.low:.2f}–{main.interval.high:.2f}"  # fmt: skip
    assert main.difference == pytest.approx(6, abs=0.5), "half the noise is 6 dB"
    assert samples_told(found) == "16 samples of 8 photos; 8 undamaged apart"
    back = compared(side(strength=10), side("b", strength=20))
    assert sentence(back) == told.replace("better", "worse")


def test_where_a_family_goes_the_other_way_it_is_named(better):
    assert sentence(better).startswith("B is better by ")
    assert sentence(better).endswith("; worse on folds")
    assert {name: one.verdict for name, one in better.families.items()} == {
        "dust": "better", "folds": "worse", "undamaged": "equal",
    }  # fmt: skip


def test_less_is_better_where_it_is():
    found = compared(side(), side("b", strength=10), metric="mse")
    assert found.main.difference < 0 and found.main.verdict == "better"
    assert sentence(found).startswith("B is better by 0.004") and "(mse)" in sentence(found)
    assert [row[0] for row in metric_table(found)[1]] == ["mse ↓", "psnr", "ssim"]


def test_what_chance_explains_is_not_told_as_a_difference():
    rows = rows_of(restore(20))
    changed = [one | {"composite.psnr": one["composite.psnr"] + (1 if n % 4 < 2 else -1)}
               for n, one in enumerate(rows)]  # fmt: skip
    told = sentence(compared(side(rows=rows), side("b", rows=changed)))
    assert told.startswith("No difference can be told: B is ") and " to " in told


def test_few_photos_are_too_few_however_much_they_agree():
    first, second = (rows_of(restore(sigma))[:9] for sigma in (20, 5))
    told = sentence(compared(side(rows=first), side("b", rows=second)))
    assert told.startswith("No difference can be told: B is ahead by")
    assert told.endswith("but 3 photos are too few")
    alone = compared(side(rows=first[:2]), side("b", rows=second[:2]))
    assert sentence(alone).endswith("dB, but 1 photo is too few") and "interval" not in sentence(
        alone
    )


def test_equal_sides_are_equal():
    assert sentence(compared(side(), side("b"))) == "No sample differs in psnr: A and B are equal"


def test_a_metric_without_values_is_not_compared():
    rows = [one | {"composite.lpips": None} for one in rows_of(restore(20))]
    found = compared(side(rows=rows), side("b", rows=rows), metric="lpips")
    assert sentence(found) == "Nothing to compare: no sample has lpips"
    assert build(found, Looks())


def test_a_tiny_difference_keeps_its_digits():
    rows = rows_of(restore(20))
    moved = [one | {"composite.psnr": one["composite.psnr"] + 0.0012 + n * 1e-5}
             for n, one in enumerate(rows)]  # fmt: skip
    assert "better by 0.0013 dB, 95 % interval 0.0013–0.0014" in sentence(
        compared(side(rows=rows), side("b", rows=moved))
    )


def test_another_picture_or_metric_is_named():
    found = compared(side(), side("b", strength=10), "prediction", "ssim")
    assert "(prediction.ssim)" in sentence(found)


# figures


def test_all_undamaged_samples_are_compared_where_there_are_no_others():
    rows = [one for one in rows_of(restore(20)) if one["families"] == "undamaged"]
    found = compared(side(rows=rows), side("b", rows=rows))
    assert (found.main.num_samples, found.num_undamaged) == (8, 0)


def test_the_order_of_rows_changes_nothing(better):
    turned = compared(side(rows=better.a.rows[::-1]), side("b", rows=better.b.rows[::-1]))
    assert to_json(report(turned)) == to_json(report(better))
    assert to_csv(differences(turned)) == to_csv(differences(better))
    assert build(turned, Looks()) == build(better, Looks())


def test_differences_are_b_minus_a_sample_by_sample(better):
    rows = differences(better)
    assert [row["key"] for row in rows] == sorted(one.key for one in samples())
    for row, before, after in zip(rows, better.a.rows, better.b.rows, strict=True):
        assert (
            row["a.psnr"] == before["composite.psnr"] and row["b.ssim"] == after["composite.ssim"]
        )
        assert row["difference.psnr"] == pytest.approx(row["b.psnr"] - row["a.psnr"], abs=1e-6)


def test_the_samples_that_changed_most_come_first(better):
    gained, lost = most_changed(better, 3)
    changes = sorted(row["difference.psnr"] for row in differences(better))
    assert [row["difference.psnr"] for row in gained] == changes[:-4:-1]
    assert [row["difference.psnr"] for row in lost] == changes[:3]
    assert {row["families"] for row in gained} == {"dust"}
    less = compared(better.a, better.b, metric="mse")
    assert [row["key"] for row in most_changed(less, 1)[0]] != [lost[0]["key"]]
    assert most_changed(less, 1)[0][0]["difference.mse"] < 0


def test_what_both_do_to_undamaged_photos_is_compared():
    rows = rows_of(restore(20))
    first, second = (
        [one | {"harm.psnr": value, "harm.altered": 1 - value / 100} for one in rows]
        for value in (40.0, 50.0)
    )
    found = compared(side(rows=first), side("b", rows=second))
    assert found.harm["harm.psnr"].num_samples == 24
    assert {found.harm[name].verdict for name in ("harm.psnr", "harm.altered")} == {"better"}
    assert any(row[0] == "harm.altered ↓" for row in metric_table(found)[1])


def test_the_report_is_json_with_every_figure(better):
    told = report(better)
    assert set(told["metrics"]) == {"psnr", "mse", "ssim"} and told["undamaged_count"] == 8
    psnr = told["metrics"]["psnr"]
    assert psnr["better"] + psnr["worse"] + psnr["equal"] == psnr["num_samples"] == 16
    assert psnr["low"] < psnr["difference"] < psnr["high"] and 0 < psnr["p"] <= 1
    assert "NaN" not in to_json(told)


# refusals


@pytest.mark.parametrize(("change", "told"), [
    ({"recipe": "aged"}, "other recipe: shapes and aged"),
    ({"test_sha256": "1" * 64}, "other test shards: 000000000000 and 111111111111"),
])  # fmt: skip
def test_other_samples_are_refused_with_the_reason(change, told):
    rows = rows_of(restore(20))
    with pytest.raises(ParamsError, match=told):
        compared(side(rows=rows), Side("b", "b", None, TOLD | change, rows))


def test_other_keys_are_refused():
    rows = rows_of(restore(20))
    with pytest.raises(ParamsError, match="1 only in A, 0 only in B"):
        compared(side(rows=rows), side("b", rows=rows[1:]))


@pytest.mark.parametrize(("words", "told"), [
    (("composit", "psnr"), "use one of input, prediction, composite, did you mean 'composite'"),
    (("composite", "pnsr"), "did you mean 'psnr'"),
])  # fmt: skip
def test_unknown_pictures_and_metrics_are_refused(words, told):
    with pytest.raises(ParamsError, match=told):
        compared(side(), side("b"), *words)


def test_what_is_neither_better_nor_worse_is_not_compared():
    rows = [one | {"composite.colorfulness": 30.0} for one in rows_of(restore(20))]
    assert "colorfulness" not in compared(side(rows=rows), side("b", rows=rows)).metrics
    with pytest.raises(ParamsError, match="use one of mse, psnr, ssim"):
        compared(side(rows=rows), side("b", rows=rows), metric="colorfulness")


@pytest.mark.parametrize("data", [
    b"", b"key,photo\n1,2\n", b"\xff\xfe", b"key,photo,source,input.psnr\na,b,c,many\n",
    b"key,photo,source,input.psnr\na,b,c\n", b"key,photo,source,input.psnr\na,b,c,1,2\n",
    b"key,photo,source,input.psnr\na,b,c,1\na,b,c,1\n",
    b"key,photo,source,input.psnr\na,b,c,nan\n", b"key,photo,source,input.psnr\na,b,c,\n",
])  # fmt: skip
def test_files_that_are_no_rows_are_refused(data):
    with pytest.raises(ParamsError):
        parse_rows(data, "rows.csv")


@pytest.mark.parametrize("metrics", [b"", b"[]", b"{}", b'{"recipe": "shapes"}', b"[" * 9999])
def test_files_that_are_no_metrics_are_refused(metrics):
    with pytest.raises(ParamsError):
        read_side("a", "a", None, {"x/metrics.json": metrics}.get, "x")


# pictures and the page


def test_an_evaluation_reads_back_as_it_was_written(tmp_path):
    pictures = restore(20)
    write_evaluation(tmp_path, pictures, "0" * 64)
    found = read_side(
        "a", "p", None, lambda path: (tmp_path / path.removeprefix("x/")).read_bytes(), "x"
    )
    assert found.rows == rows_of(pictures) and found.metrics["test_sha256"] == "0" * 64
    keys = sorted(pictures)[:2]
    with open(tmp_path / "restored.tar", "rb") as file:
        read = read_pictures(file, keys, "restored.tar")
    assert sorted(read) == keys
    assert all(abs(read[key].astype(int) - pictures[key]).mean() < 4 for key in keys)
    with pytest.raises(ParamsError):
        read_pictures(io.BytesIO(b"no tar at all" * 99), keys, "restored.tar")


def test_the_page_tells_all_and_loads_nothing(better):
    keys = shown_keys(better)
    first, second = restore(20), restore(20, dust=5, folds=30)
    damaged, original = ({one.key: getattr(one, name) for one in samples()} for name in
                         ("corrupted", "clean"))  # fmt: skip
    page = build(better, Looks(first, second, damaged, original, ["a note"]))
    assert sentence(better) in page and "a note" in page
    assert all(key in page for key in keys) and page.count('data-name="difference ×4"') == len(keys)
    assert all(cell in page for row in family_table(better)[1] for cell in row)
    assert 'src="http' not in page and "url(" not in page


def test_the_page_does_without_pictures_that_are_not_there(better):
    bare = build(better, Looks(notes=["none here"]))
    assert "<img" not in bare and all(key in bare for key in shown_keys(better))
    half = build(better, Looks(a=restore(20)))
    assert "difference ×" not in half.split("How it was measured")[0] and "<img" in half


def test_the_difference_map_in_closed_form():
    a, b = samples()[0].clean, samples()[0].corrupted
    expected = (abs(a.astype(int) - b.astype(int)) * 4).clip(0, 255)
    assert (difference_map(a, b) == expected).all() and (difference_map(a, a) == 0).all()
