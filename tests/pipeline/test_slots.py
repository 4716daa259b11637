"""Workers hand batches over in memory that is used again, but never while somebody holds it."""

import itertools
import multiprocessing

import pytest
import torch

from pipeline.seeds import rng
from pipeline.stream import Batch
from pipeline.stream.slots import NUM_SLOTS, Sender, Slots, shared

SHAPES = ((2, 8, 8, 3), (2, 8, 8, 1), (2, 8, 8, 1))
ROOM = 2 * 8 * 8 * 3


def filled(new, number, keep=False):
    """A batch whose pixels tell its number."""
    parts = [new(shape) for shape in (*SHAPES, *SHAPES[2:] * keep)]
    for place, part in enumerate(parts):
        values = rng(0, "slots", number, place).integers(0, 256, tuple(part.shape))
        part.copy_(torch.from_numpy(values))
    return Batch(*parts)


def plain(shape):
    return torch.empty(shape, dtype=torch.uint8)


def assert_same(batch, number, keep=False):
    for part, other in zip(batch, filled(plain, number, keep), strict=True):
        assert (part is None) == (other is None)
        assert part is None or torch.equal(part, other)


def test_what_comes_is_what_was_sent_and_slots_are_used_again():
    slots = Slots(ROOM)
    sender = Sender(slots)
    places = set()
    for number in range(5 * NUM_SLOTS):
        keep = number % 2 == 0
        sent = sender.send(filled(sender.new, number, keep))
        assert all(isinstance(column, tuple) for column in sent.columns if column is not None)
        batch = sent.batch()
        places |= {part.data_ptr() for part in batch if part is not None}
        assert_same(batch, number, keep)
        del batch
    assert len(places) == 4  # the same ones for every batch


@pytest.mark.parametrize("hold", ["batch", "view", "numpy", "float"])
def test_what_somebody_holds_is_never_written_over(hold):
    sender = Sender(Slots(ROOM))
    held = []
    for number in range(2 * NUM_SLOTS):
        batch = sender.send(filled(sender.new, number)).batch()
        held.append(
            {
                "batch": lambda one: one.clean,
                "view": lambda one: one.clean[:, 1:].permute(0, 3, 1, 2)[1:],
                "numpy": lambda one: one.clean.numpy()[1:],
                "float": lambda one: one.to(torch.device("cpu")).clean,
            }[hold](batch)
        )
        del batch
    for number, kept in enumerate(held):
        clean = filled(plain, number).clean
        expected = {
            "batch": clean,
            "view": clean[:, 1:].permute(0, 3, 1, 2)[1:],
            "numpy": clean[1:],
            "float": clean.permute(0, 3, 1, 2).float().mul(1 / 255),
        }[hold]
        assert torch.equal(torch.as_tensor(kept), expected)


def test_what_finds_no_room_is_sent_as_it_is():
    sender = Sender(Slots(ROOM - 1))  # too small for the clean pictures
    sent = sender.send(filled(sender.new, 3))
    assert [isinstance(column, torch.Tensor) for column in sent.columns[:3]] == [True, False, False]
    assert sent.columns[0].is_shared()
    assert_same(sent.batch(), 3)
    assert shared((2, 3)).is_shared()


def _work(slots, count, queue):
    sender = Sender(slots)
    for number in range(count):
        queue.put(sender.send(filled(sender.new, number)))


def test_another_process_fills_what_this_one_holds():
    context = multiprocessing.get_context("spawn")
    slots, queue = Slots(ROOM), context.Queue(2)
    worker = context.Process(target=_work, args=(slots, 3 * NUM_SLOTS, queue))
    worker.start()
    recent: list[Batch] = []
    for number in itertools.count():
        recent.append(queue.get(timeout=120).batch())
        for place, batch in enumerate(recent):
            assert_same(batch, number - len(recent) + 1 + place)
        if number == 3 * NUM_SLOTS - 1:
            break
        recent = recent[-3:]
    worker.join(60)
    assert worker.exitcode == 0
