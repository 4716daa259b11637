"""Weights come back as they were, from the same bytes each time; anything altered is refused."""

import hashlib
import json
import os
import struct
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from pipeline import checkpoint
from pipeline.checkpoint import load, load_strictly, load_system, save, save_weights
from pipeline.errors import CheckpointError
from pipeline.files import to_json
from pipeline.seeds import rng
from pipeline.systems import SYSTEMS, make_system
from tests.conftest import ROOT, small_params

NAMES = SYSTEMS.names()
META = {"kind": "state", "step": 3, "rate": 0.1, "best": None, "history": [{"val/psnr": 1e-17}]}


def write_system(path, name="aged_unet", seed=7):
    """A tiny system and its weights file."""
    system, block = make_system(name, small_params(), seed)
    save_weights(path, name, block, system)
    return system, block


def tensors():
    torch.manual_seed(0)
    return {
        "a.weight": torch.randn(3, 4),
        "half": torch.randn(5).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "bytes": torch.arange(256).to(torch.uint8),
    }


def header_of(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


def forge(path, meta, parts, key="patina", **more):
    """A file whose hash fits its content, whatever the content is."""
    meta = {"format": 1, **meta}
    meta["sha256"] = checkpoint._digest(meta, parts)
    path.write_bytes(safetensors.torch.save(parts, {key: to_json(meta), **more}))


def assert_refused(path, says, kind="weights"):
    with pytest.raises(CheckpointError) as caught:
        load_system(path) if kind == "weights" else load(path, kind)
    assert says in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# there and back


@pytest.mark.parametrize("name", NAMES)
def test_a_system_comes_back_equal_and_in_eval_mode(tmp_path, name):
    system, _ = write_system(tmp_path / "w.safetensors", name)
    found, again = load_system(tmp_path / "w.safetensors")
    assert found == name and type(again) is type(system) and not again.training
    for key, value in system.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    x = torch.rand(1, system.channels, 20, 12)
    with torch.no_grad():
        one, two = system.eval().restore(x), again.restore(x)
    assert torch.equal(one.prediction, two.prediction)


def test_state_comes_back_equal_whatever_its_dtypes(tmp_path):
    parts = tensors()
    save(tmp_path / "s.safetensors", META, parts)
    meta, again = load(tmp_path / "s.safetensors", "state")
    assert meta == {**META, "format": 1}
    assert again.keys() == parts.keys()
    for name, tensor in parts.items():
        assert again[name].dtype == tensor.dtype and torch.equal(again[name], tensor)


def test_tensors_of_any_memory_layout_are_kept(tmp_path):
    base = torch.randn(2, 3, 4, 5)
    parts = {
        "last": base.contiguous(memory_format=torch.channels_last),
        "turned": base.permute(3, 1, 0, 2),
        "part": base[:, 1:, ::2],
        "grad": base.clone().requires_grad_(),
    }
    save(tmp_path / "s.safetensors", META, parts)
    _, again = load(tmp_path / "s.safetensors", "state")
    assert all(torch.equal(again[name], tensor) for name, tensor in parts.items())


def test_saving_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    write_system(tmp_path / "w.safetensors", seed=1)
    system, _ = write_system(tmp_path / "w.safetensors", seed=2)
    again = load_system(tmp_path / "w.safetensors")[1].state_dict()
    assert all(torch.equal(again[key], value) for key, value in system.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_file_loads_without_safetensors_help(tmp_path):
    """One metadata key, sorted JSON, and a hash that anyone can recompute."""
    write_system(tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    header = header_of(data)
    assert list(header["__metadata__"]) == ["patina"]
    meta = json.loads(header["__metadata__"]["patina"])
    assert header["__metadata__"]["patina"] == to_json(meta)
    assert (meta["format"], meta["kind"], meta["system"]) == (1, "weights", "aged_unet")
    start = 8 + struct.unpack("<Q", data[:8])[0]
    digest = hashlib.sha256(to_json({k: v for k, v in meta.items() if k != "sha256"}).encode())
    for name in sorted(set(header) - {"__metadata__"}):
        row = header[name]
        digest.update(to_json([name, "torch.float32", row["shape"]]).encode())
        digest.update(data[start + row["data_offsets"][0] : start + row["data_offsets"][1]])
    assert digest.hexdigest() == meta["sha256"]


def digests(folder):
    """Hashes of the files of every system and of a state."""
    for name in NAMES:
        write_system(folder / f"{name}.safetensors", name)
    save(folder / "state.safetensors", META, dict(reversed(tensors().items())))
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())]


def test_two_processes_write_the_same_bytes(tmp_path):
    code = (
        "import sys, pathlib, tests.pipeline.test_checkpoint as t;"
        "print(t.digests(pathlib.Path(sys.argv[1])))"
    )
    made = []
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / seed], cwd=ROOT, capture_output=True,
            text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        made.append(done.stdout.strip())
    (tmp_path / "here").mkdir()
    assert made == [str(digests(tmp_path / "here"))] * 2


# altered files


def test_every_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write_system(path, "dual_decoder")
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    # Half of them in the header, where a parser must survive them.
    bits = [*rng(0, "body").integers(8 * end, 8 * len(data), 100)]
    bits += [*rng(0, "head").integers(0, 8 * end, 100)]
    for bit in bits:
        spoiled = bytearray(data)
        spoiled[int(bit) // 8] ^= 1 << int(bit) % 8
        path.write_bytes(spoiled)
        assert_refused(path, "")
    path.write_bytes(data)
    assert load_system(path)[0] == "dual_decoder"


def test_every_bit_of_the_hash_and_length_counts(tmp_path):
    path = tmp_path / "s.safetensors"
    save(path, META, {"x": torch.arange(3.0)})
    data = path.read_bytes()
    for bit in range(64):
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        assert_refused(path, "is no weights file of ours", "state")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write_system(path)
    data = path.read_bytes()
    cuts = {0, 1, 7, 8, 9, len(data) - 1, *map(int, rng(0, "cuts").integers(0, len(data), 60))}
    for cut in cuts:
        path.write_bytes(data[:cut])
        assert_refused(path, "is no weights file of ours")
    path.write_bytes(data + b"\0")
    assert_refused(path, "is no weights file of ours")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_bomb_is_refused_and_never_runs(tmp_path):
    path, trace = tmp_path / "w.safetensors", tmp_path / "ran"
    torch.save({"weights": Bomb(trace)}, path)
    assert_refused(path, "is no weights file of ours")
    torch.save({"weights": Bomb(trace)}, path, _use_new_zipfile_serialization=False)
    assert_refused(path, "is no weights file of ours")
    assert not trace.exists()
    with open(path, "rb") as file:
        assert b"ran" in file.read()  # the bomb was in it


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK\x03\x04", b"\x00" * 8, b"\xff" * 64, struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 20) + b'{"__metadata__": {}}', struct.pack("<Q", 10**9) + b"{}",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)  # fmt: skip
def test_what_is_no_safetensors_file_is_refused(tmp_path, data):
    (tmp_path / "w.safetensors").write_bytes(data)
    assert_refused(tmp_path / "w.safetensors", "is no weights file of ours")


def test_a_file_of_others_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    for metadata in (None, {"format": "pt"}, {"patina": "no json"}, {"patina": "[1]"}):
        path.write_bytes(safetensors.torch.save({"x": torch.ones(2)}, metadata))
        assert_refused(path, "")


@pytest.mark.parametrize("text", ['{"format": 1, "rate": NaN}', '{"format": 1, "x": "\\ud800"}'])
def test_json_that_cannot_be_hashed_is_refused(tmp_path, text):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors.torch.save({"x": torch.ones(2)}, {"patina": text}))
    assert_refused(path, "is no weights file of ours")


def test_a_missing_file_or_a_folder_is_told(tmp_path):
    assert_refused(tmp_path / "no.safetensors", "No such file or directory; train it first")
    (tmp_path / "folder").mkdir()
    assert_refused(tmp_path / "folder", "Is a directory")


@pytest.mark.parametrize("format", [0, 2, "1", None])
def test_another_format_number_is_told_with_ours(tmp_path, format):
    path = tmp_path / "w.safetensors"
    forge(path, {"kind": "weights", "format": format}, {"x": torch.ones(2)})
    assert_refused(path, f"format {format}, this is 1")


def test_weights_and_state_are_not_taken_for_each_other(tmp_path):
    write_system(tmp_path / "w.safetensors")
    save(tmp_path / "s.safetensors", META, tensors())
    assert_refused(tmp_path / "w.safetensors", "holds weights, not state", "state")
    assert_refused(tmp_path / "s.safetensors", "holds state, not weights")


def test_an_edited_config_is_refused(tmp_path):
    """The hash covers the JSON too: a threshold cannot be changed unseen."""
    path = tmp_path / "w.safetensors"
    write_system(path, "dual_decoder")
    data = path.read_bytes()
    assert data.count(b'\\"threshold\\":0.1') == 1
    path.write_bytes(data.replace(b'\\"threshold\\":0.1', b'\\"threshold\\":0.2'))
    assert_refused(path, "its hash does not fit its content")


# files whose hash fits, but not their content


def test_a_missing_tensor_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    system, block = write_system(path)
    parts = dict(system.state_dict())
    parts.pop("net.head.bias")
    forge(path, {"kind": "weights", "system": "aged_unet", "section": block}, parts)
    assert_refused(path, "net.head.bias is missing")


def test_a_tensor_too_many_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    system, block = write_system(path)
    parts = {**system.state_dict(), "net.spare": torch.ones(2)}
    forge(path, {"kind": "weights", "system": "aged_unet", "section": block}, parts)
    assert_refused(path, "net.spare is not known")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x[:1].reshape(-1), "net.head.weight is torch.float32 (4,), not"),
        (lambda x: x.double(), "net.head.weight is torch.float64 (1, 4, 1, 1), not torch.float32"),
    ],
)
def test_a_tensor_of_another_shape_or_dtype_is_named(tmp_path, change, says):
    path = tmp_path / "w.safetensors"
    system, block = write_system(path)
    parts = dict(system.state_dict())
    parts["net.head.weight"] = change(parts["net.head.weight"])
    forge(path, {"kind": "weights", "system": "aged_unet", "section": block}, parts)
    assert_refused(path, says)


def test_weights_of_other_widths_do_not_load_into_a_system(tmp_path):
    params = small_params()
    params["systems"]["aged_unet"]["widths"] = [4, 12]
    other, _ = make_system("aged_unet", params, 7)
    system, _ = make_system("aged_unet", small_params(), 7)
    before = {key: value.clone() for key, value in system.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"net\.\S+ is torch\.float32"):
        load_strictly(system, other.state_dict(), tmp_path)
    assert all(torch.equal(before[key], value) for key, value in system.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.update(system="unheard_of"),
        lambda meta: meta.update(system="../../evil"),
        lambda meta: meta.update(system=["aged_unet"]),
        lambda meta: meta.pop("system"),
        lambda meta: meta.pop("section"),
        lambda meta: meta.update(section={}),
        lambda meta: meta.update(section=[1]),
        lambda meta: meta["section"].update(widths=["a"]),
        lambda meta: meta["section"].update(more=1),
    ],
)
def test_a_config_that_rebuilds_no_system_is_refused(tmp_path, change):
    path = tmp_path / "w.safetensors"
    system, block = write_system(path)
    meta = {"kind": "weights", "system": "aged_unet", "section": dict(block)}
    change(meta)
    forge(path, meta, dict(system.state_dict()))
    assert_refused(path, "")
