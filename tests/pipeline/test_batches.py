"""Views are copied into batches as numpy would, in all eight ways; the next batch is sent ahead."""

import itertools

import numpy as np
import pytest
import torch

from pipeline.seeds import rng
from pipeline.stream import prefetch, to_batch
from pipeline.stream.batches import copy_turned
from tests.pipeline.handmade import handmade


def views(picture):
    """The picture turned and mirrored in every way, whole and in windows."""
    for part in (picture, picture[1:, 2:], picture[:-3, 1:-1]):
        for turn, rows, columns in itertools.product((False, True), (1, -1), (1, -1)):
            view = part[::rows, ::columns]
            yield view.swapaxes(0, 1) if turn else view


@pytest.mark.parametrize("shape", [(40, 31, 3), (31, 40, 1), (9, 9, 3), (4, 4, 1), (5, 4, 1)])
def test_a_view_is_copied_as_it_is(shape):
    picture = rng(0, "views").integers(0, 256, shape, np.uint8)
    picture.flags.writeable = False
    for view in views(picture):
        out = np.zeros((3, *view.shape), np.uint8)
        copy_turned(view, out[1])
        np.testing.assert_array_equal(out[1], view)
        assert not out[0].any() and not out[2].any()
        if view.shape[2] == 1:
            copy_turned(view[:, :, 0][:, :, None], out[2])
            np.testing.assert_array_equal(out[2], view)


def test_thin_pictures_are_copied_too():
    for shape in ((1, 7, 3), (7, 1, 3), (1, 1, 1)):
        picture = rng(0, "thin").integers(0, 256, shape, np.uint8)
        for view in (picture, picture[::-1, ::-1], picture.swapaxes(0, 1)):
            out = np.zeros(view.shape, np.uint8)
            copy_turned(view, out)
            np.testing.assert_array_equal(out, view)


def batches(count):
    for number in range(count):
        one = handmade(str(number), keep=number % 2 == 0)
        yield to_batch([(one.clean, one.corrupted, one.mask)], keeps=[one.keep])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_prefetch_gives_every_batch_in_order_as_floats(device, count):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    target = torch.device(device)
    sent = list(prefetch(batches(count), target))
    assert len(sent) == count
    for one, expected in zip(sent, batches(count), strict=True):
        for part, other in zip(one, expected.to(torch.device("cpu")), strict=True):
            assert (part is None) == (other is None)
            if part is not None:
                assert part.device.type == device and torch.equal(part.cpu(), other)
