"""Shards → batches, in an order that is planned: the same for any number of workers, from any step
on."""

from pipeline.stream.batches import Batch, to_batch
from pipeline.stream.loading import load, prefetch
from pipeline.stream.streams import Draw, Drawn, Source, Stream, StreamSection

__all__ = [
    "Batch",
    "Draw",
    "Drawn",
    "Source",
    "Stream",
    "StreamSection",
    "load",
    "prefetch",
    "to_batch",
]
