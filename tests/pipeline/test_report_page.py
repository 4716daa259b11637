"""The page of a system: every figure told in words that fit it, and what was not measured left
out."""

import pytest

from pipeline.pages.viewer import SCRIPT
from pipeline.report.page import build
from pipeline.report.samples import MOST_BYTES
from pipeline.report.verdict import harms, worst_group
from tests.pipeline.reported import NASTY, report, row
from tests.pipeline.test_pages import check_page


def rows(psnr, harm=45.0, count=12):
    return [row(number, psnr, harm) for number in range(count)]


@pytest.fixture(scope="module")
def read():
    return check_page(build(report()))


def test_everything_is_there(read):
    ids = [attrs["id"] for attrs in read.all("section")]
    assert ids == ["verdict", "scores", "harm", "samples", "breakdown", "masks", "training", "made",
                   "method"]  # fmt: skip
    told = ("one on recipe worn", "24 held-out samples of 4 photos", "telea (radius 5)",
            "MAE on its rim ↓", "best validation PSNR is 24.00 dB", "ab" * 32, "widths: [4, 8]",
            "damage that was missed", "Gaussian σ = 1.5, 11×11")  # fmt: skip
    for words in told:
        assert words in read.text, words
    links = [attrs["href"] for attrs in read.all("a")]
    assert {"../../index.html", "rows.csv", "breakdown.csv"} <= set(links)


def test_every_picture_is_embedded_once_and_named():
    text = build(report())
    images = check_page(text).all("img")
    shots = [attrs for attrs in images if "class" not in attrs]
    assert len(shots) == len({attrs["src"] for attrs in shots}) == 4 * 5 + 3
    assert f"restored: {report().samples[0].photo}" in {attrs["alt"] for attrs in shots}
    assert f"returned: {NASTY}" in {attrs["alt"] for attrs in shots}
    assert text.count(SCRIPT) == 1
    viewers = [a for a in check_page(text).all("figure") if a.get("class") == "viewer"]
    assert (viewers[0]["data-left"], viewers[0]["data-right"]) == ("damaged", "restored")
    assert (viewers[-1]["data-left"], viewers[-1]["data-right"]) == ("undamaged", "returned")


def test_a_page_of_many_large_samples_is_light():
    from pipeline.seeds import rng

    noise = rng(0, "large").integers(0, 256, (512, 512, 3), "uint8")
    shown = report().samples[0]
    large = [type(shown)(f"k{n}", "p", "worst", shown.row, {
        "damaged": noise, "restored": noise}) for n in range(5)]  # fmt: skip
    assert len(build(report(samples=large))) < 4 / 3 * MOST_BYTES + 1_000_000


def test_the_same_evaluation_is_the_same_page():
    assert build(report()) == build(report())


# the verdict


def test_the_verdict_tells_the_gain_its_interval_and_the_baseline():
    text = check_page(build(report(rows((20, 22, 26, 25))))).text
    assert (
        "one gains 6.00 dB PSNR over the damaged input (95 % interval 6.00 to 6.00) on 12" in text
    )
    assert "The best classical baseline, telea, gains 5.00 dB" in text
    assert "one is 1.00 dB ahead of it ." in text


def test_a_system_that_loses_is_told_so():
    page = build(report(rows((20, 18, 18.5, 25))))
    text = check_page(page).text
    assert "one loses 1.50 dB PSNR" in text and "6.50 dB behind it" in text
    assert 'id="verdict" aria-labelledby="verdict-title" class="alarm"' in page
    assert 'class="alarm"' not in build(report())


def test_an_interval_that_holds_0_promises_nothing():
    mixed = [row(n, (20, 20, 21 if n % 4 < 2 else 19, 25)) for n in range(24)]
    assert "the interval holds 0" in check_page(build(report(mixed))).text


def test_one_photo_has_no_interval_and_the_page_says_so():
    one = [row(number, (20, 22, 26, 25), photos=1) for number in range(6)]
    text = check_page(build(report(one))).text
    assert "no interval is known" in text and "95 % interval 6" not in text


def test_the_group_with_the_least_gain_is_named():
    bad = [row(n) for n in range(24)]
    for one in bad[::3]:  # folds alone
        one["composite.psnr"] = 5.0
    worst = worst_group(report(bad))
    assert worst.gain.mean < 0 and "It makes things worse on" in build(report(bad))
    few = [one | {"families": "rare" if n == 0 else "folds", "composite.psnr": 25.0 * (n > 0)}
           for n, one in enumerate(rows((20, 22, 26, 25)))]  # fmt: skip
    assert worst_group(report(few)).name != "rare", "two samples of a kind say nothing"


@pytest.mark.parametrize(
    ("good", "words"),
    [
        (24, "next to no harm"),
        (23, "next to no harm"),
        (14, "harms some"),
        (3, "It harms undamaged"),
    ],
)
def test_harm_is_told_by_how_many_tiles_it_touched(good, words):
    found = report([row(n, harm=60.0 if n < good else 27.0) for n in range(24)])
    sentence = "".join(harms(found)[0])
    assert words in sentence and f"{good} of 24 tiles" in sentence


def test_bytes_changed_outside_the_mask_are_counted():
    broken = [row(n) | {"harm.altered_outside": 0.1 if n < 2 else 0.0} for n in range(24)]
    assert "every byte is that of the input, in all 24" in "".join(harms(report())[1])
    assert "differ from the input in 2 of 24" in "".join(harms(report(broken))[1])


# what was not measured


def test_what_is_not_known_is_left_out():
    bare = report(masks=False, samples=(), history=(), params={}, fingerprints={}, files=())
    ids = [attrs["id"] for attrs in check_page(build(bare)).all("section")]
    assert ids == ["verdict", "scores", "harm", "breakdown", "method"]
    without = [{k: v for k, v in one.items() if not k.startswith(("harm", "altered"))}
               for one in bare.rows]  # fmt: skip
    ids = [
        a["id"] for a in check_page(build(report(without, masks=False, samples=()))).all("section")
    ]
    assert "harm" not in ids


def test_a_baseline_that_lacks_samples_is_compared_with_nothing():
    part = rows((20, 22, 26, 25))
    part[0] |= {name: None for name in part[0] if name.startswith("telea.")}
    text = check_page(build(report(part))).text
    assert "best classical baseline" not in text and "6.00 dB" in text


def test_undamaged_samples_do_not_hide_the_rest():
    mixed = [*rows((20, 22, 26, 25)), row(50, (100, 90, 95, 80))]
    text = check_page(build(report(mixed))).text
    assert "gains 6.00 dB" in text and "1 more are undamaged" in text
