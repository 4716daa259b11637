"""DIV2K: 900 sharp 2K photographs (Agustsson and Timofte, NTIRE 2017), for academic research only.

The owners of the photographs keep their rights; https://data.vision.ee.ethz.ch/cvl/DIV2K/ has the
terms.
"""

from pathlib import Path

from pipeline.downloads import Remote
from pipeline.errors import SourceError
from pipeline.files import link_file
from pipeline.sources import SOURCES, Brought, ListedFile, Progress, Source, take
from pipeline.sources.remote import bring, check_space, earlier, pictures, unpacked

HOME = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
TRAIN = Remote(
    "DIV2K_train_HR.zip",
    "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    3_530_603_713,
)
VALID = Remote(
    "DIV2K_valid_HR.zip",
    "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    448_993_893,
)
LICENCE = "DIV2K: academic research only; rights stay with the owners of the photographs"


@SOURCES.add
class Div2k(Source):
    """`mirrors`: folders on the web that hold the two zips too, asked in turn after HOME.

    The test pictures of DIV2K are not public: its 100 validation photos are `test` here, and the
    index divides the 800 for training into `train` and `val`, group by group.
    """

    mirrors: tuple[str, ...]

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Download both archives, 4 GB, and unpack them: twice that is asked for at once, here. The
        copies that others make of the pictures are told of in docs/sources.md."""
        before = earlier(folder)
        if before is not None:
            return before
        check_space(root, folder, {remote.url: remote for remote in (TRAIN, VALID)})
        trees = [(remote, self._tree(root, folder, remote, progress)) for remote in (TRAIN, VALID)]
        found = [(remote, tree, path) for remote, tree in trees for path in pictures(tree)]
        if not found:
            raise SourceError("source div2k", "its archives hold no picture", "see its mirrors")
        files: list[ListedFile] = []
        for remote, tree, path in found:
            name = path.relative_to(tree).as_posix()
            split = "test" if remote is VALID else None
            row = take(path, name, folder, link_file, split, LICENCE)
            files.append(row.model_copy(update={"no_test": split is None}))
            progress(len(files), len(found))
        return Brought(files, [])

    def _tree(self, root: Path, folder: Path, remote: Remote, progress: Progress) -> Path:
        urls = [f"{home.rstrip('/')}/{remote.url}" for home in (HOME, *self.mirrors)]
        archive = bring(root, urls, remote.url, remote, progress)
        return unpacked(archive, archive.name, folder)
