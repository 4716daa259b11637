"""`patina check`: is every section of params.yaml right, and what will a run cost here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.console import command, make_app, project_root, read_params, say, tell

if TYPE_CHECKING:
    from stages.estimates import Photos
from stages.validity import validate_params


@command
def check() -> None:
    """Validate all params and estimate samples, disk and minutes of each stage on this machine."""
    from stages import estimates

    root = project_root()
    params = read_params(root)
    _raise_all(validate_params(root, params))
    say("params.yaml: every section is valid")
    photos = estimates.count_photos(root, params)
    _raise_all(_find_empty_splits(params, photos))
    say(f"photos: {sum(photos.counts.values())}{photos.doubt}")
    say(estimates.estimate_textures(params))
    for name in params["synth"]:
        say(estimates.estimate_synth(root, params, name, photos.of(name)))
    if apart := [name for name in params["recipes"] if name not in params["synth"]]:
        say(f"not in synth, so that dvc makes no shards of them: {', '.join(apart)}")
    for name in params["train"]:
        say(estimates.estimate_train(params, name))
    for name in params["evaluate"]:
        recipe = params["evaluate"][name]["recipe"]
        say(estimates.estimate_evaluate(root, params, name, photos.of(recipe)))
    say("fetch and index read each photo once; leaderboard takes a second")


def _find_empty_splits(params: dict[str, Any], photos: Photos) -> list[Any]:
    """Recipes that would find no photo for a split."""
    from pipeline.errors import ParamsError
    from pipeline.shards import SPLITS

    problems = []
    for name in params["synth"]:
        sources = params["recipes"][name]["sources"]
        where = f"params: recipes.{name}.sources"
        if not sources:
            problems.append(ParamsError(where, "names no source", "name one of `sources`"))
        if set(sources) & set(photos.unknown):
            continue
        problems += [
            ParamsError(
                where, f"no {split} photos in {', '.join(sources)}", "add photos or another source"
            )
            for split in SPLITS
            if sources and not any(photos.of(name).get((one, split)) for one in sources)
        ]
    return problems


def _raise_all(problems: list[Any]) -> None:
    """Tell every problem; the last one is raised."""
    for problem in problems[:-1]:
        tell(problem)
    if problems:
        raise problems[-1]


app = make_app(check, "check")
if __name__ == "__main__":
    app()
