"""`patina check`: is every section of params.yaml right, and what will a run cost here?"""

from __future__ import annotations

from typing import Any

from stages.console import command, make_app, project_root, read_params, say, tell
from stages.validity import validate_params


@command
def check() -> None:
    """Validate all params and estimate samples, disk and minutes of each stage on this machine."""
    from stages import estimates

    root = project_root()
    params = read_params(root)
    _raise_all(validate_params(root, params))
    say("params.yaml: every section is valid")
    counts, known = estimates.count_photos(root, params)
    _raise_all(_find_empty_splits(params, counts))
    doubt = "" if known else " or so: the index is not of the inbox as it is now"
    say(f"photos: {sum(counts.values())}{doubt}")
    say(estimates.estimate_textures(params))
    for name in params["synth"]:
        say(estimates.estimate_synth(root, params, name, counts))
    for name in params["train"]:
        say(estimates.estimate_train(params, name))
    for name in params["evaluate"]:
        say(estimates.estimate_evaluate(root, params, name, counts))
    say("fetch and index read each photo once; leaderboard takes a second")


def _find_empty_splits(params: dict[str, Any], counts: dict[tuple[str, str], int]) -> list[Any]:
    """Recipes that would find no photo for a split."""
    from pipeline.errors import ParamsError
    from pipeline.shards import SPLITS

    nameless = [name for name in params["synth"] if not params["recipes"][name]["sources"]]
    if nameless:
        where = f"params: recipes.{nameless[0]}.sources"
        return [ParamsError(where, "names no source", "name one of `sources`")]
    return [
        ParamsError(
            f"params: recipes.{name}.sources",
            f"no {split} photos in {', '.join(params['recipes'][name]['sources'])}",
            "add photos or another source",
        )
        for name in params["synth"]
        for split in SPLITS
        if not any(counts.get((one, split)) for one in params["recipes"][name]["sources"])
    ]


def _raise_all(problems: list[Any]) -> None:
    """Tell every problem; the last one is raised."""
    for problem in problems[:-1]:
        tell(problem)
    if problems:
        raise problems[-1]


app = make_app(check, "check")
if __name__ == "__main__":
    app()
