"""The benchmark of metrics runs from end to end on tiny sizes; how fast anything is, no test
asks."""

import os

import cv2
import pytest
import torch

from benchmarks import metrics
from tests.benchmarks.test_benchmarks import assert_well_formed


@pytest.mark.slow
def test_every_row_is_measured():
    threads = cv2.getNumThreads(), torch.get_num_threads()
    rows = metrics.main(side=64, size=(64, 96), repeats=1)
    assert_well_formed(rows)
    floors = {row["id"]: row["floor"] for row in rows}
    shares = (
        "core",
        "all-but-lpips",
        *(("all",) if os.environ.get(metrics.WEIGHTS_FOLDER) else ()),
    )
    assert floors == {
        "8-ssim": 5, "8-together": 7, "8-ciede2000": 5,
        **{f"8-share-{name}-{size}-{key}": 1 for name in ("aged_unet", "dual_decoder")
           for size in ("published", "demo") for key in shares},
    }  # fmt: skip
    assert all("of the model's time: takes" in row["what"] for row in rows[3:])
    assert torch.get_num_threads() == threads[1]
    cv2.setNumThreads(threads[0])
