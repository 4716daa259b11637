"""Rows of evaluations made by hand, whose figures are known."""

from pipeline.seeds import rng

WHOLE = (100.0, 40.0, 60.0)  # dB of an undamaged input, and of what a system makes of it


def row(key, photo="a.png", families="dust", psnr=(20.0, 25.0, 26.0), telea=None, **more):
    """A row of an evaluation; `psnr` of input, prediction and composite."""
    made = {"key": key, "photo": photo, "source": "sample", "families": families, "covered": 0.02,
            "severity": 0.5, "width": 600, "height": 400}  # fmt: skip
    own = dict(zip(("input", "prediction", "composite"), psnr, strict=True))
    for name, value in (own if telea is None else own | {"telea": telea}).items():
        made |= {f"{name}.psnr": value, f"{name}.ssim": 0.9, f"{name}.psnr_masked": None}
    return made | {"harm.psnr": 50.0} | more


def many(num_photos=10, tiles=3, **gains):
    """Rows of photos whose composite gains so many dB on each family, in turn, give or take 0.5."""
    random, rows = rng(5, "rows"), []
    for number in range(num_photos * tiles):
        family = sorted(gains)[number % len(gains)]
        after = 20 + gains[family] + random.uniform(-0.5, 0.5)
        rows.append(
            row(f"{number:03d}", f"{number // tiles}.png", family, (20.0, 21.0, after), 22.0)
        )
    return rows
