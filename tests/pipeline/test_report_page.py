"""The page of a system: every figure told in words that fit it, and what was not measured left
out."""

from dataclasses import replace

import pytest

from pipeline.breakdown import in_words, lead
from pipeline.pages.viewer import SCRIPT
from pipeline.report.harm import harm, harms
from pipeline.report.masks import masks
from pipeline.report.method import method
from pipeline.report.page import build
from pipeline.report.samples import MOST_BYTES
from pipeline.report.scores import scores
from pipeline.report.verdict import verdict
from tests.pipeline.reported import NASTY, report, row
from tests.pipeline.test_pages import Reader, check_page


def rows(psnr, harm=45.0, count=12):
    return [row(number, psnr, harm) for number in range(count)]


def told(*parts):
    """What a reader sees of some sections, joined."""
    read = Reader("".join(parts))
    assert not read.problems
    return read.text


@pytest.fixture(scope="module")
def page():
    return build(report())


@pytest.fixture(scope="module")
def read(page):
    return check_page(page)


def test_everything_is_there(read):
    ids = [attrs["id"] for attrs in read.all("section")]
    assert ids == ["verdict", "scores", "harm", "samples", "breakdown", "masks", "training", "made",
                   "method"]  # fmt: skip
    parts = ("one on recipe worn", "24 held-out samples of 8 photos", "telea (radius 5)",
            "MAE on its rim ↓", "best validation PSNR is 24.00 dB", "ab" * 32, "widths: [4, 8]",
            "damage that was missed", "Gaussian σ = 1.5, 11×11", "BT.601 luma",
            "3 px to either side", "MS-SSIM: the same over five scales")  # fmt: skip
    for words in parts:
        assert words in read.text, words
    links = [attrs["href"] for attrs in read.all("a")]
    assert {"../../index.html", "rows.csv", "breakdown.csv"} <= set(links)


def test_every_picture_is_embedded_once_and_named(page, read):
    images = read.all("img")
    shots = [attrs for attrs in images if "class" not in attrs]
    assert len(shots) == len({attrs["src"] for attrs in shots}) == 4 * 5 + 3
    assert f"restored: {report().samples[0].photo}" in {attrs["alt"] for attrs in shots}
    assert f"returned: {NASTY}" in {attrs["alt"] for attrs in shots}
    assert page.count(SCRIPT) == 1
    viewers = [a for a in read.all("figure") if a.get("class") == "viewer"]
    assert (viewers[0]["data-left"], viewers[0]["data-right"]) == ("damaged", "restored")
    assert (viewers[-1]["data-left"], viewers[-1]["data-right"]) == ("undamaged", "returned")


def test_a_page_of_many_large_samples_is_light():
    from pipeline.seeds import rng

    noise = rng(0, "large").integers(0, 256, (512, 512, 3), "uint8")
    shown = report().samples[0]
    large = [type(shown)(f"k{n}", "p", "worst", shown.row, {
        "damaged": noise, "restored": noise}) for n in range(5)]  # fmt: skip
    assert len(build(report(samples=large))) < 4 / 3 * MOST_BYTES + 1_000_000


def test_the_same_evaluation_is_the_same_page(page):
    assert build(report()) == page


# the verdict


def test_the_verdict_tells_the_gain_its_interval_and_the_baseline():
    text = told(*verdict(report(rows((20, 22, 26, 25)))))
    assert (
        "one gains 6.00 dB PSNR over the damaged input (95 % interval 6.00 to 6.00) on 12" in text
    )
    assert "The best classical baseline, telea, gains 5.00 dB" in text
    assert "one is 1.00 dB ahead of it (95 % interval 1.00 to 1.00)." in " ".join(text.split())


def test_what_it_is_ahead_of_the_best_baseline_has_an_interval_of_its_own():
    made = [row(n, (20, 22, 26 + n % 8 / 7, 25)) for n in range(24)]
    found = lead(made, 7, "telea")
    words = f"ahead of it (95 % interval {found.interval.low:.2f} to {found.interval.high:.2f})."
    assert 1 < found.interval.low < found.difference < found.interval.high < 2
    assert words in told(*verdict(report(made)))
    behind = [row(n, (20, 22, 26 + n % 8 / 7, 28)) for n in range(24)]
    low, high = lead(behind, 7, "telea").interval
    words = f"behind it (95 % interval {-high:.2f} to {-low:.2f})."
    assert words in told(*verdict(report(behind)))


def test_a_lead_that_may_be_chance_is_told_as_such():
    mixed = [row(n, (20, 22, 26, 25 if n % 8 < 5 else 27)) for n in range(24)]
    assert "; it holds 0, so that it may be otherwise" in told(*verdict(report(mixed)))
    few = [row(n, (20, 22, 26, 25), photos=3) for n in range(6)]
    words = "ahead of it (95 % interval 1.00 to 1.00; 3 photos are too few to be sure of others)."
    assert words in told(*verdict(report(few)))
    alone = [row(n, (20, 22, 26, 25), photos=1) for n in range(6)]
    assert "ahead of it (1 photo is too few to be sure of others)." in told(*verdict(report(alone)))


def test_a_baseline_that_was_given_the_true_mask_says_so():
    given = report(given_masks=("telea",))
    assert "telea (radius 5; given the true mask)" in told(*scores(given))
    assert "baseline, telea (given the true mask), gains" in told(*verdict(given))
    assert "given the true mask" not in told(*scores(report()), *verdict(report()))


def test_a_system_that_loses_is_told_so(page):
    losing = build(report(rows((20, 18, 18.5, 25)), samples=()))
    text = check_page(losing).text
    assert "one loses 1.50 dB PSNR" in text and "6.50 dB behind it" in text
    assert 'id="verdict" aria-labelledby="verdict-title" class="alarm"' in losing
    assert 'class="alarm"' not in page


def test_an_interval_that_holds_0_promises_nothing():
    mixed = [row(n, (20, 20, 21 if n % 8 < 4 else 19, 25)) for n in range(24)]
    assert "the interval holds 0" in told(*verdict(report(mixed)))


@pytest.mark.parametrize("photos", [1, 5])
def test_few_photos_are_told_to_be_few(photos):
    few = [row(number, (20, 22, 26, 25), photos=photos) for number in range(6)]
    text = told(*verdict(report(few)))
    assert f"of {photos} photo" in text and "too few photos to be sure of others" in text
    assert "too few photos" not in told(*verdict(report()))
    assert ("(95 % interval 6" in text) is (photos > 1)


def test_where_it_fails_is_told_once_in_the_words_of_the_breakdown():
    bad = [row(n) for n in range(24)]
    for one in bad[::3]:  # folds alone
        one["composite.psnr"] = 5.0
    words = in_words(bad, 7, ["telea"])
    text = told(*verdict(report(bad, rivals=words)))
    assert words.startswith("Worst on folds: −") and text.count(words) == 1
    assert text.count("Worst on") == 1


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


def test_tiles_that_came_back_byte_for_byte_are_told_apart_from_the_mean():
    mixed = [row(n, harm=100.0 if n < 20 else 40.0 + n) | {"harm.altered": 0.0 if n < 20 else 0.1}
             for n in range(24)]  # fmt: skip
    text = told(*harm(report(mixed)))
    assert (
        "20 of 24 undamaged tiles came back byte for byte: equal tiles count as 100 dB, which"
        in text
    )
    assert "PSNR (dB) 100.00 93.58 60.00 100.00 24" in text, "the median first"
    assert "which carries the mean." in text
    some = [one | {"harm.altered": 0.1} for one in mixed[:15]] + mixed[15:]
    assert "carries the mean, so that the median tells more." in told(*harm(report(some)))
    assert "0 of 24 undamaged tiles came back byte for byte." in told(*harm(report()))
    unknown = [row(n) | {"harm.altered": None} for n in range(12)]
    assert "byte for byte" not in told(*harm(report(unknown)))


def test_columns_of_counts_say_whose_they_are():
    clipped = [row(n) for n in range(12)]
    for one in clipped:
        one |= {"composite.psnr_outside": 100.0, "telea.psnr_outside": 100.0}
    text = told(*scores(report(clipped)))
    assert "one: samples without one: samples clipped at 100 dB" in text
    assert "MS-SSIM" not in text
    small = [one | {f"{name}.ms_ssim": None for name in ("input", "composite", "telea")}
             for one in clipped]  # fmt: skip
    assert "MS-SSIM is –: it needs a shorter side of 161 px" in told(*scores(report(small)))
    large = [one | {f"{name}.ms_ssim": 0.9 for name in ("input", "composite", "telea")}
             for one in clipped]  # fmt: skip
    assert "MS-SSIM is –" not in told(*scores(report(large)))


def test_bytes_changed_outside_the_mask_are_counted():
    broken = [row(n) | {"harm.altered_outside": 0.1 if n < 2 else 0.0} for n in range(24)]
    assert "every byte is that of the input, in all 24" in "".join(harms(report())[1])
    assert "differ from the input in 2 of 24" in "".join(harms(report(broken))[1])


# what was not measured


def test_what_is_not_known_is_left_out():
    bare = report(masks=False, samples=(), history=(), params={}, fingerprints={}, files=())
    ids = [attrs["id"] for attrs in check_page(build(bare)).all("section")]
    assert ids == ["verdict", "scores", "harm", "breakdown", "method"]
    assert "prediction" not in bare.metrics and "raw prediction" not in told(*scores(bare))
    without = [{k: v for k, v in one.items() if not k.startswith(("harm", "altered"))}
               for one in bare.rows]  # fmt: skip
    ids = [
        a["id"] for a in check_page(build(report(without, masks=False, samples=()))).all("section")
    ]
    assert "harm" not in ids


def test_a_baseline_that_lacks_samples_is_compared_with_nothing():
    part = rows((20, 22, 26, 25))
    part[0] |= {name: None for name in part[0] if name.startswith("telea.")}
    text = told(*verdict(report(part)), *scores(report(part)))
    assert "best classical baseline" not in text and "6.00 dB" in text


# one population


def whole(number):
    return row(number, (100, 90, 95, 80)) | {"families": "undamaged", "severity": 0, "covered": 0}


def test_undamaged_samples_do_not_hide_the_rest():
    mixed = [*rows((20, 22, 26, 25)), *map(whole, range(50, 53))]
    text = check_page(build(report(mixed, samples=()))).text
    assert "gains 6.00 dB PSNR" in text and "on 12 held-out samples of 8 photos" in text
    assert "3 more are undamaged" in text and "All damaged samples" in text
    assert "−5.00" not in text, "nothing was to be gained on them"


def test_where_nothing_is_damaged_nothing_is_gained_or_lost():
    clean = report([whole(n) for n in range(12)], masks=False, samples=())
    page = build(clean)
    text = check_page(page).text
    assert "Nothing is damaged in 12 held-out samples" in text and "95.00 dB" in text
    short = told(*verdict(clean))
    assert not [word for word in ("gains", "loses", "baseline", "damaged input") if word in short]
    assert "−5.00" not in text and "Gains in PSNR" not in text
    assert 'class="alarm"' not in page


# what systems tell of themselves


def test_an_ablation_is_the_systems_own_and_no_baseline():
    ablated = [
        one | {f"without_skips.{name.split('.')[1]}": value + 2 * name.endswith("psnr")
               for name, value in one.items() if name.startswith("composite.")}
        for one in rows((20, 22, 26, 25))
    ]  # fmt: skip
    made = report(ablated)
    assert made.baselines == ["telea"] and made.ablations == ["without_skips"]
    read = check_page(build(replace(made, samples=())))
    assert "one, without skips 28.00 +8.00 (8.00 to 8.00)" in read.text
    assert "The best classical baseline, telea, gains 5.00 dB" in read.text
    alts = " ".join(attrs["alt"] for attrs in read.all("img"))
    assert "and the baselines" in alts and "skips" not in alts


def test_numbers_that_a_system_tells_of_itself_are_shown():
    numbers = [one | {"kl": 10.0 + n} for n, one in enumerate(rows((20, 22, 26, 25)))]
    words = "KL divergence of its code from the prior (nats) 15.50 15.50 10.00 21.00 12"
    assert words in told(*scores(report(numbers)))
    assert "tells of itself" not in told(*scores(report()))


def test_a_system_that_colors_is_held_to_the_luma_and_the_page_says_so():
    text = told(*harm(report(colors=True)), method(report(colors=True)))
    assert "of the luma alone" in text and "PSNR of luma (dB)" in text
    assert "makes color of gray" in text
    assert "luma" not in told(*harm(report())) and "makes color" not in told(method(report()))


@pytest.mark.parametrize(
    ("weights", "words"), [("reference", "PATINA_REFERENCE_WEIGHTS"), ("official", "torchvision")]
)
def test_the_page_says_whose_weights_lpips_sees_with(weights, words):
    text = told(method(report(lpips=weights)))
    assert words in text and "LPIPS is 0.05 or less" in text
    assert "LPIPS v0.1" not in told(method(report()))


def test_no_threshold_is_the_best_where_no_pixel_is_damaged():
    made = report()
    unknown = {**made.metrics["mask"], "best_threshold": None, "f1": None}
    text = told(*masks(report(metrics={**made.metrics, "mask": unknown})))
    assert "no pixel of these samples is damaged, so that none is the best" in text
    assert "best F1" not in text and "used 0.1." in text
