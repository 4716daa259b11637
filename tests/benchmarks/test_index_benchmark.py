"""The benchmark of the index runs from end to end on tiny sizes."""

from benchmarks import index
from pipeline.photos import decode_rgb
from tests.benchmarks.test_benchmarks import assert_well_formed


def test_index_measures_speed_and_what_is_found() -> None:
    sizes = index.Sizes(
        photos=12, side=96, repeats=1, searched=600, look_alikes=300, paired=100, planted=12
    )
    rows = index.main(sizes)
    assert_well_formed(rows)
    found = {row["id"]: row for row in rows}
    assert {"index-photos", "index-search", "index-search-growth", "index-look-alikes"} <= set(
        found
    )
    assert found["index-twins-exact"]["ratio"] == 1
    assert all(row["ratio"] >= row["floor"] for name, row in found.items() if "twins" in name)


def test_windows_are_photographs_of_the_size() -> None:
    photos = index.windows(5, 64)
    assert all(photo.shape == (64, 64, 3) for photo in photos)
    jpeg = index.encode_jpeg(photos[0], 90)
    assert decode_rgb(jpeg, 1.0).shape == (64, 64, 3)
