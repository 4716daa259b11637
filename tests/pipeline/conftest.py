"""A project with photos and textures, and its shards, for the tests of what makes them."""

import pytest

from pipeline.corruptions import Recipe
from tests.conftest import run_stage, write_params
from tests.pipeline.synthesized import PARAMS, synth


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with photos and textures; no shards yet."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, PARAMS)
    (folder / "data/inbox").mkdir(parents=True)
    (folder / "textures/scans").mkdir(parents=True)
    for name in ("fetch", "index", "textures"):
        run_stage(folder, name)
    return folder


@pytest.fixture(scope="module")
def undisturbed(home):
    """The files of `aged`, made by one process."""
    return synth(home, home / "undisturbed", "--workers", "1")


@pytest.fixture(scope="module")
def recipe(home):
    return Recipe.load(PARAMS, "aged", home / "data/textures")
