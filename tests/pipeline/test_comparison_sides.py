"""What was measured on other samples, or is no evaluation at all, is not compared."""

import io

import pytest

from pipeline.comparison.sides import parse_rows, read_pictures, read_side
from pipeline.errors import ParamsError
from tests.pipeline.compared import compared, restore, rows_of, side, write_evaluation


@pytest.mark.parametrize(("change", "told"), [
    ({"recipe": "aged"}, "other recipe: shapes and aged"),
    ({"test_sha256": "1" * 64}, "other test shards: 000000000000 and 111111111111"),
])  # fmt: skip
def test_other_samples_are_refused_with_the_reason(change, told):
    rows = rows_of(restore(20))
    with pytest.raises(ParamsError, match=told):
        compared(side(rows=rows), side("b", rows, told=change))


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
    b"key,photo,source,input.psnr\na,b,c,1\nd,b,c,12.3",
    b"key,photo,source,input.psnr\na,b,c,nan\n", b"key,photo,source,input.psnr\na,b,c,\n",
])  # fmt: skip
def test_files_that_are_no_rows_are_refused(data):
    with pytest.raises(ParamsError):
        parse_rows(data, "rows.csv")


@pytest.mark.parametrize("subject", [b"", b"[]", b"{}", b'{"recipe": "shapes"}', b"[" * 9999])
def test_files_that_tell_no_subject_are_refused(subject):
    with pytest.raises(ParamsError):
        read_side("a", "a", None, {"x/subject.json": subject}.get, "x")


def test_an_evaluation_reads_back_as_it_was_written(tmp_path):
    pictures = restore(20)
    write_evaluation(tmp_path, pictures, "0" * 64)
    found = read_side(
        "a", "p", None, lambda path: (tmp_path / path.removeprefix("x/")).read_bytes(), "x"
    )
    assert found.rows == rows_of(pictures) and found.subject["test_sha256"] == "0" * 64
    keys = sorted(pictures)[:2]
    with open(tmp_path / "restored.tar", "rb") as file:
        read = read_pictures(file, keys, "restored.tar")
    assert sorted(read) == keys
    assert all(abs(read[key].astype(int) - pictures[key]).mean() < 4 for key in keys)
    with pytest.raises(ParamsError):
        read_pictures(io.BytesIO(b"no tar at all" * 99), keys, "restored.tar")
