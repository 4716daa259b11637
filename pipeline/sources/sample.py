"""The embedded default: real photographs that scikit-image's wheel carries, with a fixed split."""

from importlib.resources import files as package_files
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.files import sha256_bytes, write_bytes
from pipeline.sources import SOURCES, Brought, ListedFile, Progress, Source, is_whole

# Photographs only: no diagrams, masks, renderings or holograms; of the stereo pair the left one.
PHOTOS = {
    "train": (
        "brick.png", "camera.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
        "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg",
    ),
    "val": ("rocket.jpg",),
    "test": ("astronaut.png", "chelsea.png", "moon.png"),
}  # fmt: skip
LICENCE = "see data/README.txt of scikit-image (public domain, CC0 or CC BY)"


@SOURCES.add
class Sample(Source):
    """No params: the photos come with the installation."""

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Copy the photos out of the installed wheel."""
        home = package_files("skimage") / "data"
        names = [(split, name) for split, group in PHOTOS.items() for name in group]
        listed = []
        for done, (split, name) in enumerate(names, 1):
            try:
                data = (home / name).read_bytes()
            except OSError:
                raise SourceError(
                    f"source sample: {name}",
                    "is not in the installed scikit-image",
                    "install the version of constraints.txt",
                ) from None
            digest = sha256_bytes(data)
            if not is_whole(folder / name, digest, len(data)):
                write_bytes(folder / name, data)
            listed.append(
                ListedFile(
                    name=name,
                    file=name,
                    num_bytes=len(data),
                    sha256=digest,
                    split=split,
                    group=None,
                    licence=LICENCE,
                )
            )
            progress(done, len(names))
        return Brought(listed, [])
