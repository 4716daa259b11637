"""Shards are plain WebDataset tars, byte-stable, and refused whole when altered."""

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import webdataset
from PIL import Image

from pipeline import png
from pipeline import shards as shards_room
from pipeline.errors import ShardError
from pipeline.files import sha256_bytes, to_json
from pipeline.samples import Sample, pack, unpack, unpack_pictures
from pipeline.seeds import rng
from pipeline.shards import (  # fmt: skip
    MANIFEST,
    find_sample,
    read_manifest,
    read_samples,
    read_shard,
    read_stories,
)
from tests.conftest import run_stage, small_params, write_params

SHARD = "test-00000.tar"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A small project's `shapes` shards."""
    home = tmp_path_factory.mktemp("project")
    write_params(home, small_params())
    (home / "data/inbox").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["synth", "shapes", "--workers", "1"]):
        run_stage(home, *words)
    return home / "data/shards/shapes"


@pytest.fixture
def folder(shards, tmp_path):
    """A copy of the shards to spoil."""
    return shutil.copytree(shards, tmp_path / "shards")


def handmade(key, channels=3, keep=False, shape=(21, 34)):
    random = rng(0, "handmade", key)
    clean, corrupted = random.integers(0, 256, (2, *shape, channels), np.uint8)
    mask, preserved = np.uint8(255) * random.integers(0, 2, (2, *shape), np.uint8)
    story = {"steps": [], "note": "ä", "number": 0.1}
    return Sample(key, clean, corrupted, mask, story, preserved if keep else None)


HANDMADE = (
    handmade("a1"), handmade("a2", channels=1), handmade("b", keep=True),
    handmade("c", shape=(1, 1)), handmade("d", channels=1, keep=True, shape=(9, 1)),
)  # fmt: skip


def members(data):
    return [unpack(member) for member in webdataset_members(data)]


def webdataset_members(data):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    return list(group_by_keys(tar_file_expander([{"url": "x", "stream": io.BytesIO(data)}])))


def assert_equal(a, b):
    assert (a.key, a.story) == (b.key, b.story)
    for name in ("clean", "corrupted", "mask"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert getattr(a, name).dtype == np.uint8
    assert (a.keep is None) == (b.keep is None)
    if a.keep is not None:
        np.testing.assert_array_equal(a.keep, b.keep)


def edit_manifest(folder, change, seal=True):
    """Change the manifest; with `seal` so that only the other guards can notice."""
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    if seal:
        rest = {name: value for name, value in data.items() if name != "sha256"}
        data["sha256"] = sha256_bytes(to_json(rest).encode())
    (folder / MANIFEST).write_text(json.dumps(data))


def row_of(data, name=SHARD):
    return next(row for row in data["shards"] if row["name"] == name)


def assert_refused(folder, names, split="test"):
    """Reading ends in a ShardError that names the file, and no sample came out before it."""
    used = []
    with pytest.raises(ShardError) as caught:
        used.extend(read_samples(folder, split))
    assert not used
    assert names in str(caught.value) and "\n" not in str(caught.value)


# what others see in our tars


def test_plain_webdataset_reads_the_same_pixels_with_its_own_decoder(shards):
    ours = list(read_samples(shards, "test"))
    plain = webdataset.WebDataset(str(shards / SHARD), shardshuffle=False).decode("pil")
    theirs = list(plain)
    assert [one["__key__"] for one in theirs] == [sample.key for sample in ours]
    for one, sample in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(np.asarray(one["clean.png"]), sample.clean)
        np.testing.assert_array_equal(np.asarray(one["corrupted.png"]), sample.corrupted)
        np.testing.assert_array_equal(np.asarray(one["mask.png"].convert("L")), sample.mask)
        assert one["json"] == sample.story


def test_plain_webdataset_without_decoding_gives_files_that_pillow_opens(shards):
    ours = read_samples(shards, "test")
    for one, sample in zip(
        webdataset.WebDataset(str(shards / SHARD), shardshuffle=False), ours, strict=True
    ):
        for name, pixels in (("clean.png", sample.clean), ("corrupted.png", sample.corrupted)):
            with Image.open(io.BytesIO(one[name])) as image:
                image.verify()
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(one[name]))), pixels)


def test_tarfile_sees_plain_files_with_a_fixed_owner_mode_and_time(shards):
    for path in shards.glob("*.tar"):
        with tarfile.open(path, "r:") as tar:
            infos = tar.getmembers()
        assert infos
        for info in infos:
            assert info.isreg() and info.mode == 0o644
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
    assert path.stat().st_size % 512 == 0


# pack


def test_pack_and_unpack_keep_every_array_and_the_story():
    data, count, _ = pack(iter(HANDMADE))
    assert count == len(HANDMADE)
    for again, sample in zip(members(data), HANDMADE, strict=True):
        assert_equal(again, sample)


def test_pack_is_the_same_bytes_again_and_tarfile_agrees_with_its_layout():
    data = pack(iter(HANDMADE))
    assert data == pack(iter(HANDMADE))
    with tarfile.open(fileobj=io.BytesIO(data[0])) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names)) == 4 * len(HANDMADE) + 2
    assert names[:4] == ["a1.clean.png", "a1.corrupted.png", "a1.json", "a1.mask.png"]


def test_nothing_packs_to_an_empty_tar():
    data, count, _ = pack(iter(()))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert (count, members(data), tar.getnames()) == (0, [], [])


@pytest.mark.parametrize("name", ["key", "clean", "corrupted", "mask", "keep", "story"])
def test_the_content_hash_depends_on_each_part_of_a_sample(name):
    sample = HANDMADE[2]
    value = getattr(sample, name)
    other = {"key": "other", "story": {"steps": [1]}}.get(name)
    changed = replace(sample, **{name: 255 - value if other is None else other})
    assert pack(iter([sample]))[2] != pack(iter([changed]))[2]


def test_a_keep_mask_comes_back_and_its_absence_too():
    kept = members(pack(iter([HANDMADE[2]]))[0])[0]
    np.testing.assert_array_equal(kept.keep, HANDMADE[2].keep)
    assert set(np.unique(kept.keep)) == {0, 255}
    assert members(pack(iter([HANDMADE[0]]))[0])[0].keep is None


# the manifest


def test_the_manifest_tells_true_counts_sizes_and_hashes(shards):
    manifest = read_manifest(shards)
    assert manifest.recipe == "shapes"
    assert {row.name for row in manifest.shards} == {path.name for path in shards.glob("*.tar")}
    for row in manifest.shards:
        data = (shards / row.name).read_bytes()
        assert row.num_bytes == len(data)
        assert row.sha256 == hashlib.sha256(data).hexdigest()
        assert row.num_samples == len(webdataset_members(data))
        assert row.name.startswith(row.split)
        assert row.content_sha256 == pack(iter(members(data)))[2]


def test_the_manifest_counts_by_split(shards):
    manifest = read_manifest(shards)
    counts = {split: manifest.num_samples(split) for split in ("train", "val", "test")}
    assert sum(counts.values()) == sum(row.num_samples for row in manifest.shards)
    for split, count in counts.items():
        assert count == len(list(read_samples(shards, split))) > 0
        assert {row.split for row in manifest.of_split(split)} == {split}


# finding one sample


def test_a_sample_is_found_by_its_key_and_by_a_unique_beginning(shards):
    samples = list(read_samples(shards, "val"))
    for sample in samples:
        for word in (sample.key, sample.key[:-1]):
            found, split = find_sample(shards, word)
            assert_equal(found, sample)
            assert split == "val"


def test_an_ambiguous_or_unknown_beginning_is_an_error_that_says_so(shards):
    photo = next(read_samples(shards, "val")).key.split("_")[0]
    with pytest.raises(ShardError, match=r"\d samples begin with it"):
        find_sample(shards, photo)
    with pytest.raises(ShardError, match="no such sample"):
        find_sample(shards, "nobody")


def test_a_whole_key_wins_over_longer_keys_that_begin_with_it(folder):
    data, count, content = pack(iter([handmade("ab"), handmade("a")]))
    (folder / SHARD).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit_manifest(
        folder,
        lambda it: row_of(it).update(
            num_samples=count, num_bytes=len(data), sha256=digest, content_sha256=content
        ),
    )
    assert find_sample(folder, "a")[0].key == "a"
    assert find_sample(folder, "ab")[0].key == "ab"


# damage


def test_a_shard_cut_anywhere_is_refused_whole(folder):
    data = (folder / SHARD).read_bytes()
    cuts = {0, 1, 512, len(data) - 1, len(data) - 512, len(data) - 1024}
    cuts |= {int(cut) for cut in rng(0, "cuts").integers(0, len(data), 54)}
    for cut in sorted(cuts):
        (folder / SHARD).write_bytes(data[:cut])
        assert_refused(folder, SHARD)


def test_a_longer_shard_is_refused(folder):
    data = (folder / SHARD).read_bytes()
    for tail in (b"\0", bytes(512), data):
        (folder / SHARD).write_bytes(data + tail)
        assert_refused(folder, SHARD)


def test_a_flipped_bit_anywhere_is_refused(folder):
    data = (folder / SHARD).read_bytes()
    for bit in rng(0, "flips").integers(0, 8 * len(data), 100):
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << int(bit % 8)
        (folder / SHARD).write_bytes(spoiled)
        assert_refused(folder, SHARD)


def test_an_intact_copy_is_read(folder, shards):
    for a, b in zip(read_samples(folder, "test"), read_samples(shards, "test"), strict=True):
        assert_equal(a, b)


def test_a_missing_or_renamed_shard_is_named_whatever_split_is_read(folder):
    (folder / SHARD).rename(folder / "other.tar")
    for split in ("train", "val", "test"):
        assert_refused(folder, SHARD, split)


def test_a_folder_in_the_place_of_a_shard_is_refused(folder):
    (folder / SHARD).unlink()
    (folder / SHARD).mkdir()
    assert_refused(folder, SHARD)


def test_swapped_shards_are_refused(folder):
    first, second, spare = (folder / f"{name}.tar" for name in ("train-00000", "train-00001", "x"))
    first.rename(spare), second.rename(first), spare.rename(second)
    assert_refused(folder, "train-00000.tar", "train")


def test_a_stranger_in_the_folder_is_never_read(folder, shards):
    (folder / "test-00001.tar").write_bytes(b"evil")
    assert len(list(read_samples(folder, "test"))) == len(list(read_samples(shards, "test")))


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_samples", 7), ("num_bytes", 10), ("sha256", "0" * 64), ("name", "test-00009.tar")],
)
def test_an_edited_manifest_is_refused(folder, key, value):
    edit_manifest(folder, lambda data: row_of(data).update({key: value}))
    assert_refused(folder, value if key == "name" else SHARD)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("shards"),
        lambda data: data.update(shards=5),
        lambda data: data.update(surprise=1),
        lambda data: row_of(data).pop("sha256"),
        lambda data: row_of(data).update(num_samples="6"),
        lambda data: row_of(data).update(num_samples=True),
    ],
)
def test_a_manifest_of_another_make_is_a_shard_error_that_names_it(folder, change):
    edit_manifest(folder, change)
    assert_refused(folder, MANIFEST)


@pytest.mark.parametrize("name", ["../shards/test-00000.tar", "/etc/passwd", "sub/test-00000.tar"])
def test_a_manifest_cannot_lead_out_of_its_folder(folder, name):
    (folder / "sub").mkdir()
    shutil.copyfile(folder / SHARD, folder / "sub" / SHARD)
    edit_manifest(folder, lambda data: row_of(data).update(name=name))
    assert_refused(folder, name)


def test_a_shard_cannot_be_relabelled_for_another_split(folder):
    edit_manifest(folder, lambda data: row_of(data).update(split="train"))
    assert_refused(folder, SHARD, "train")


@pytest.mark.parametrize("format", [0, 1, 2, "3", None])
def test_another_format_number_is_told_with_ours(folder, format):
    edit_manifest(folder, lambda data: data.update(format=format))
    assert_refused(folder, MANIFEST)
    with pytest.raises(ShardError, match=f"format {format}, this is 3"):
        read_manifest(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_spoiled_manifest_is_refused(folder, text):
    (folder / MANIFEST).write_bytes(text)
    assert_refused(folder, MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(recipe="aged"),
        lambda data: data["shards"].pop(),
        lambda data: data["shards"].reverse(),
        lambda data: data.update(opencv="0.0"),
    ],
)
def test_a_manifest_protects_itself(folder, change):
    edit_manifest(folder, change, seal=False)
    with pytest.raises(ShardError, match="has been edited or cut"):
        read_manifest(folder)


def test_a_missing_manifest_is_told_with_the_next_step(folder):
    (folder / MANIFEST).unlink()
    with pytest.raises(ShardError, match="holds no manifest; run `patina synth`"):
        read_manifest(folder)


def test_a_stale_manifest_is_refused(folder):
    """The shards were made anew, the manifest is that of before."""
    (folder / SHARD).write_bytes(pack(iter(HANDMADE))[0])
    assert_refused(folder, SHARD)


def test_true_bytes_with_a_wrong_count_are_refused(folder):
    """Hash and size fit, the number of samples does not."""
    data, count, _ = pack(iter(HANDMADE))
    (folder / SHARD).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit_manifest(
        folder,
        lambda it: row_of(it).update(num_samples=count + 1, num_bytes=len(data), sha256=digest),
    )
    assert_refused(folder, f"{count} samples, not {count + 1}")


def test_one_bad_shard_gives_the_samples_of_the_shards_before_it_and_none_of_its_own(folder):
    spoiled = folder / "train-00001.tar"
    first = read_manifest(folder).of_split("train")[0]
    own = {member["__key__"] for member in read_shard(folder, first)}
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    used = []
    with pytest.raises(ShardError, match=r"train-00001\.tar"):
        used.extend(read_samples(folder, "train"))
    assert {sample.key for sample in used} <= own


def test_a_missing_mask_is_no_member_and_reads_as_missing():
    story = {"steps": [], "given": True, "mask": "missing"}
    data, *_ = pack([replace(handmade("a"), story=story, mask=np.zeros((21, 34), np.uint8))])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {name.split(".", 1)[1]: tar.extractfile(name).read() for name in tar.getnames()}
    assert set(members) == {"clean.png", "corrupted.png", "json"}
    sample = unpack({"__key__": "a", **members})
    assert sample.mask_missing and sample.known_mask is None
    assert sample.mask.shape == (21, 34) and not sample.mask.any()
    assert (sample.shown_mask == 128).all()
    known = unpack({"__key__": "a", **members, "mask.png": png.encode_mask(handmade("a").mask),
                    "json": to_json(story | {"mask": "given"}).encode()})  # fmt: skip
    assert not known.mask_missing and (known.known_mask == handmade("a").mask).all()


def test_a_mask_that_is_gone_untold_is_refused():
    data, *_ = pack([handmade("a")])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {name.split(".", 1)[1]: tar.extractfile(name).read() for name in tar.getnames()}
    del members["mask.png"]
    with pytest.raises(ShardError, match="its mask is gone, untold by its story"):
        unpack({"__key__": "a", **members})


def test_stories_are_read_without_the_pictures(shards):
    for split in ("train", "val", "test"):
        told = [sample.story for sample in read_samples(shards, split)]
        assert list(read_stories(shards, split)) == told and told


def test_our_own_tars_are_walked_as_webdataset_walks_them(shards):
    for row in read_manifest(shards).shards:
        data = (shards / row.name).read_bytes()
        assert read_shard(shards, row) == [
            one | {"__url__": row.name} for one in webdataset_members(data)
        ]


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["a.txt", "in/a.txt", "ä.txt", 200 * "a" + ".txt"])
def test_tars_of_others_are_left_to_webdataset(tmp_path, kind, name):
    tar = io.BytesIO()
    with contextlib.suppress(ValueError), tarfile.open(fileobj=tar, mode="w", format=kind) as made:
        info = tarfile.TarInfo(name)
        info.size = 3
        made.addfile(info, io.BytesIO(b"abc"))
    if not tar.getvalue():
        pytest.skip("the format has no such names")
    assert shards_room._own_files(tar.getvalue(), "x") is None


def test_pictures_alone_are_those_of_the_sample(shards):
    for row in read_manifest(shards).shards[:1]:
        for member in read_shard(shards, row):
            sample = unpack(member)
            expected = (sample.clean, sample.corrupted, sample.mask, sample.keep)
            for part, other in zip(unpack_pictures(member), expected, strict=True):
                np.testing.assert_array_equal(part, other)


def test_a_cut_shard_has_no_stories(folder):
    path = folder / SHARD
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ShardError, match="cannot be read as a tar"):
        list(read_stories(folder, "test"))


def test_the_fingerprint_of_test_samples_knows_them_and_the_recipe_alone(shards):
    manifest = read_manifest(shards)
    first = shards_room.fingerprint_of_test(manifest)
    rows = [
        row if row.split == "test" else row.model_copy(update={"content_sha256": "0" * 64})
        for row in manifest.shards
    ]
    others = manifest.model_copy(update={"shards": tuple(rows), "profile": "jpeg"})
    assert shards_room.fingerprint_of_test(others) == first and len(first) == 64
    changed = [row.model_copy(update={"content_sha256": "0" * 64}) for row in manifest.shards]
    for update in ({"recipe": "other"}, {"shards": tuple(changed)}):
        assert shards_room.fingerprint_of_test(manifest.model_copy(update=update)) != first
