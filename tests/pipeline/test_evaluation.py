"""What an evaluation measures beside the damage: what must be preserved."""

from dataclasses import replace

import torch

from pipeline import fidelity
from pipeline.answers import restore_sample
from pipeline.evaluation import KEPT, Evaluation
from pipeline.metrics import METRICS
from pipeline.systems import make_system
from tests.conftest import small_params
from tests.pipeline.compared import write_test_shards
from tests.pipeline.handmade import handmade


def noise(keep):
    """A sample that tells its photo."""
    made = handmade("a" * 64 + "_0000_00", 3, keep=keep, side=32)
    return replace(made, story={"photo": {"name": "a.png", "source": "sample"}, "steps": []})


def evaluate(folder, samples):
    """Rows of a small network that nobody trained, and that network."""
    write_test_shards(folder / "shards", chosen=samples)
    system = make_system("defect_unet", small_params(), 7)[0].eval()
    work, device = folder / "work", torch.device("cpu")
    job = Evaluation(system, folder / "shards", (), work, device)
    return job.run(lambda done, total: None).rows, system


def test_what_must_be_preserved_is_measured_apart(tmp_path):
    sample = noise(keep=True)
    (row,), system = evaluate(tmp_path, [sample])
    made = restore_sample(system, sample, torch.device("cpu")).composite
    for picture, name in ((made, "composite"), (sample.corrupted, "input")):
        for metric in KEPT:
            found = METRICS[f"{metric}_masked"](picture, sample.clean, sample.keep)
            expected = min(found, fidelity.PSNR_CLIP)
            assert abs(row[f"{name}.{metric}_keep"] - expected) < 1e-5


def test_without_it_there_are_no_such_columns(tmp_path):
    (row,), _ = evaluate(tmp_path, [noise(keep=False)])
    assert not [name for name in row if name.endswith("_keep")]
