"""What a patch of an overlay looks like, in numbers: how much, how strong, how wide, how sharp,
which way, how it repeats."""

import cv2
import numpy as np

Array = np.ndarray
SIDE = 512  # short side to which every overlay is brought
PATCH = 128
QUALITY = 90
LEAST = 8  # a patch with fewer gray levels than this has nothing to look at


def prepared(gray: Array) -> Array:
    """An overlay, real or drawn, as both sides are shown: SIDE pixels high or wide, marks light,
    the level of the ground taken off, once through JPEG."""
    scale = SIDE / min(gray.shape)
    size = tuple(max(SIDE, round(side * scale)) for side in gray.shape[::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    gray = cv2.resize(gray, size, interpolation=method)
    low, middle, high = np.percentile(gray, [0.5, 50, 99.5])
    marks = gray.astype(np.int16) - round(middle)
    if middle - low > high - middle:
        marks = -marks
    marks = np.clip(marks, 0, 255).astype(np.uint8)
    return through_jpeg(marks, QUALITY)


def through_jpeg(gray: Array, quality: int) -> Array:
    """What is left after storing."""
    _, data = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def patches(overlay: Array, count: int, rng: np.random.Generator) -> list[Array]:
    """Up to `count` patches at random places, those with hardly anything on them left out."""
    found = []
    for _ in range(3 * count):
        top, left = (int(rng.integers(0, side - PATCH + 1)) for side in overlay.shape)
        patch = overlay[top : top + PATCH, left : left + PATCH]
        if np.percentile(patch, 99.5) >= LEAST:
            found.append(patch)
        if len(found) == count:
            break
    return found


def features(patch: Array) -> Array:
    """One row of numbers."""
    values = patch.astype(np.float32)
    parts = (_amounts, _blocks, _edges, _bands, _spectrum, _directions, _marks)
    row = np.concatenate([np.atleast_1d(part(values)) for part in parts])
    return np.nan_to_num(row, nan=0.0, posinf=50.0, neginf=-50.0)


def _log(values: Array | float) -> Array:
    return np.log(np.asarray(values, np.float64) + 1e-4)


def _amounts(values: Array) -> Array:
    """The histogram: shares over levels, percentiles, moments."""
    shares = [(values > level).mean() for level in (0, 1, 2, 4, 8, 16, 32, 64, 128, 200)]
    ranks = np.percentile(values, [25, 50, 75, 90, 95, 98, 99, 99.7, 100])
    spread = values.std() + 1e-3
    odd = ((values - values.mean()) ** 3).mean() / spread**3
    shares = np.array(shares)
    return np.concatenate(
        [_log(shares), np.log1p(ranks), _log([values.mean(), spread, odd + 1]),
         _log(shares[1:]) - _log(shares[:-1])]
    )  # fmt: skip


def _blocks(values: Array) -> Array:
    """How unevenly the patch is filled: means and spreads of 8×8 and 32×32 blocks."""
    out = []
    for side in (8, 32):
        tiles = values.reshape(PATCH // side, side, PATCH // side, side).swapaxes(1, 2)
        means, spreads = tiles.mean(axis=(2, 3)).ravel(), tiles.std(axis=(2, 3)).ravel()
        out += [*np.log1p(np.percentile(spreads, [10, 50, 90])), (spreads == 0).mean()]
        out += [*np.log1p(np.percentile(means, [10, 50, 90])), means.std() / (means.mean() + 0.1)]
    return np.array(out)


def _edges(values: Array) -> Array:
    """Softness: how steep the steps are beside how high the marks are, and their tail."""
    across, down = np.diff(values, axis=1)[:-1], np.diff(values, axis=0)[:, :-1]
    steps = np.hypot(across, down)
    bend = np.abs(cv2.Laplacian(values, cv2.CV_32F))
    top = np.percentile(values, 99.7) + 1
    steep = np.percentile(steps, [50, 75, 90, 97, 99.7])
    shares = [(np.abs(across) == level).mean() for level in (0, 1, 2, 3)]
    return np.concatenate(
        [np.log1p(steep), [np.log(steep[-1] + 1) - np.log(top), np.log(steep[2] + 1) - np.log(top)],
         [_log(bend.mean()) - _log(steps.mean()), _log(steps.std()) - _log(steps.mean())], shares]
    )  # fmt: skip


def _bands(values: Array) -> Array:
    """Spread and peakedness of five octave bands of a Laplacian pyramid."""
    out = []
    for _ in range(5):
        small = cv2.pyrDown(values)
        band = values - cv2.pyrUp(small, dstsize=values.shape[::-1])
        spread = band.std() + 1e-3
        peaked = ((band - band.mean()) ** 4).mean() / spread**4
        lean = ((band - band.mean()) ** 3).mean() / spread**3
        out += [_log(spread), _log(peaked), np.clip(lean, -20, 20)]
        values = small
    spreads = np.array(out[0::3])
    return np.concatenate([out, np.diff(spreads)])


def _spectrum(values: Array) -> Array:
    """Power by frequency (10 rings) and by direction (8 sectors, sorted), shares in logarithm."""
    window = np.hanning(PATCH)
    power = np.abs(np.fft.fft2((values - values.mean()) * np.outer(window, window))) ** 2
    line = np.fft.fftfreq(PATCH)
    radius = np.hypot(line[:, None], line[None, :])
    angle = np.arctan2(line[:, None], line[None, :]) % np.pi
    rings = np.digitize(radius, np.geomspace(1.5 / PATCH, 0.5, 10))
    by_ring = np.bincount(rings.ravel(), power.ravel(), 11)
    wanted = (radius > 0.03) & (radius < 0.4)
    sectors = (angle[wanted] * (8 / np.pi)).astype(int) % 8
    by_sector = np.bincount(sectors, power[wanted], 8) / np.bincount(sectors, minlength=8)
    by_sector = np.sort(by_sector) / (by_sector.sum() + 1e-6)
    axes = power[0, 2:].sum() + power[2:, 0].sum()
    total = power.sum() + 1e-6
    return np.concatenate([_log(by_ring / total), _log(by_sector[[0, 4, 7]]), [_log(axes / total)]])


def _directions(values: Array) -> Array:
    """Structure tensor at two scales: how line-like places are, and how much they agree."""
    out = []
    for sigma in (1.5, 5.0):
        smooth = cv2.GaussianBlur(values, (0, 0), sigma / 2)
        across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        products = (across * across, across * down, down * down)
        xx, xy, yy = (cv2.GaussianBlur(part, (0, 0), sigma) for part in products)
        energy = xx + yy + 1e-3
        line = np.hypot(xx - yy, 2 * xy) / energy
        weight = energy / energy.sum()
        common = np.hypot(((xx - yy) / energy * weight).sum(), (2 * xy / energy * weight).sum())
        out += [(line * weight).sum(), line.mean(), common, np.percentile(line, 90)]
    return np.array(out)


def _marks(values: Array) -> Array:
    """Connected marks over three levels: number, areas, lengths against widths, fill, strength."""
    out: list[float] = []
    top = np.percentile(values, 99.7)
    for level in (6.0, 0.25 * top, 0.6 * top):
        mask = (values > max(3.0, level)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        if count < 2:
            out += [0.0] * 14
            continue
        areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
        boxes = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].astype(float)
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        ridge = depth[(depth == cv2.dilate(depth, np.ones((3, 3)))) & (mask > 0)]
        length = np.hypot(*boxes.T)
        fill = areas / boxes.prod(axis=1)
        large = areas >= np.percentile(areas, 80)
        strength = np.bincount(labels.ravel(), values.ravel(), count)[1:] / areas
        out += [np.log(count), *np.log(np.percentile(areas, [50, 90, 100]))]
        out += [(areas <= 2).mean(), areas.max() / areas.sum()]
        out += [*np.percentile(ridge, [50, 90]), np.log(ridge.max())]
        out += [np.log(length[large].mean()), (length**2 / areas)[large].mean() / 10]
        out += [fill[large].mean(), np.log1p(strength.std()), np.log1p(np.median(strength))]
    return np.array(out)
