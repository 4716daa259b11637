"""README.md of a shard set: front matter that hubs read, and the text that people do."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from pipeline.shards import SPLITS, ShardRow

if TYPE_CHECKING:
    from pipeline.cards import Card

# Hubs' names of licences, where a source tells one of them.
HUB_LICENCES = (
    "apache-2.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc0-1.0", "mit", "unknown", "unlicense",
)  # fmt: skip
HUB_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
MEANINGS = {
    "clean": "the picture to restore",
    "corrupted": "the same, damaged",
    "mask": "white: local damage changed this pixel; damage that is everywhere leaves it black",
    "keep": "white: a mark of the clean picture's own, which must survive",
    "story": "what was drawn; see below",
}
PROFILES = {
    "png": "All pictures are stored without loss.",
    "jpeg": "Pictures of the train split are JPEGs of quality 95; val and test are without loss.",
    "story": "The train split holds the tile before all damage: whoever reads it draws the story"
    " again, with Patina's code. Val and test hold all pictures, without loss.",
}
STORY = {
    "recipe": "the recipe's name",
    "photo": "`source` and `name` of the photo; `top` and `left` of the tile in it, px",
    "photo_side": "short side, px, of the photo that the tile is taken to belong to",
    "steps": "what was drawn, in order: `family` and its `version`, `step` (its place in the"
    " recipe), `on` (the `input` alone, or `both` pictures), `severity` from 0 to 1, and `drawn`:"
    " the numbers that make the same pixels again",
}
GIVEN_MASK = "white: damaged, as the photo's source marks it; no file where the mask is missing"
GIVEN_STORY = {
    "given": "true: the photos brought their damage, nothing was drawn",
    "mask": "`given`, or `missing`: then there is no mask, and what is damaged is not known",
}
READING = """\
`manifest.json` holds the sha256 of every shard, which Patina verifies before use. Any WebDataset
reader takes the tars; hubs read the front matter of this file, other programs `croissant.json`:

```python
import mlcroissant

records = mlcroissant.Dataset("croissant.json").records("val_corrupted")
```

mlcroissant keeps what it unpacks below `$CROISSANT_CACHE` by the name of the tar alone: give each
shard set a cache of its own."""


def front_matter(card: Card, rows: Sequence[ShardRow]) -> str:
    """YAML for hubs, with its fences. Splits whose files differ are configurations apart."""
    told = sorted({hub_licence(licence) for licence in card.licences})
    known = len(told) == 1 and told[0] in HUB_LICENCES
    configs = _configs(card, rows)
    front = {
        "pretty_name": f"Patina: {card.recipe}",
        "license": told[0] if known else "other",
        **({} if known else {"license_name": "that-of-each-source"}),
        "task_categories": [
            "image-to-image",
            *(["image-segmentation"] if card.has_masks(rows, *SPLITS) else []),
        ],
        "size_categories": [size_category(sum(row.num_samples for row in rows))],
        "tags": [
            "webdataset",
            "image-restoration",
            *([] if card.given else ["synthetic-damage"]),
            "patina",
        ],
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": split, "path": f"{split}-*.tar"} for split in splits],
            }
            for name, splits in configs.items()
        ],
        "dataset_info": [
            {"config_name": name, "features": _features(card.ends(splits[0], rows).values())}
            for name, splits in configs.items()
        ],
    }
    return f"---\n{_yaml(front, flow=False)}---\n"


def readme(card: Card, rows: Sequence[ShardRow]) -> str:
    """The card in Markdown."""
    sections = {
        "Splits": [_counts(card, rows), _split_rule(card)],
        "Photos and licences": list(_photos(card)),
        "Samples": list(_samples(card, rows)),
        "Recipe": [
            "In the words of `params.yaml`; sizes are shares of the photo's short side.",
            f"```yaml\n{_yaml(card.params)}```",
        ],
        "Make it again": [_rebuild(card)],
        "Read it": [READING],
    }
    blocks = [f"# Patina: {card.recipe}", card.about(rows)]
    for title, texts in sections.items():
        blocks += [f"## {title}", *texts]
    return "\n\n".join(blocks) + "\n"


def hub_licence(text: str) -> str:
    """``CC BY 4.0`` → ``cc-by-4.0``, whether hubs know it or not."""
    name = "-".join(text.lower().split())
    return {"cc0": "cc0-1.0"}.get(name, name)


def size_category(num_samples: int) -> str:
    """The hub's word for so many samples: ``1K<n<10K``."""
    place = max(0, len(str(num_samples)) - 3)
    if place == 0:
        return f"n<{HUB_SIZES[0]}"
    if place >= len(HUB_SIZES):
        return f"n>{HUB_SIZES[-1]}"
    return f"{HUB_SIZES[place - 1]}<n<{HUB_SIZES[place]}"


def _configs(card: Card, rows: Sequence[ShardRow]) -> dict[str, list[str]]:
    """Splits whose samples have the same files, by a name for them."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for split in SPLITS:
        alike.setdefault(tuple(card.ends(split, rows).values()), []).append(split)
    if len(alike) == 1:
        return {"default": list(SPLITS)}
    names: dict[tuple[str, ...], str] = {SPLITS[1:]: "held_out"}
    return {names.get(tuple(one), "_and_".join(one)): one for one in alike.values()}


def _features(ends: Iterable[str]) -> list[dict[str, str]]:
    """Told, because hubs cannot infer the type of stories: no two are alike."""
    kinds = {end: "json" if end == "json" else "image" for end in ends}
    columns = {**kinds, "__key__": "string", "__url__": "string"}
    return [{"name": name, "dtype": kind} for name, kind in columns.items()]


def _counts(card: Card, rows: Sequence[ShardRow]) -> str:
    cells = []
    for split in SPLITS:
        held, tiles = [row for row in rows if row.split == split], card.block[split]
        samples, size = (sum(getattr(r, n) for r in held) for n in ("num_samples", "num_bytes"))
        cells.append([
            split, f"{samples:,}", f"{len(held):,}", f"{size / 1e6:,.2f}",
            f"{tiles['side']} × {tiles['side']}", f"{tiles['per_photo']} × {tiles['variants']}",
        ])  # fmt: skip
        cells[-1] += [f"{card.mask_missing.get(split, 0):,}"] if card.mask_missing else []
    head = ["split", "samples", "shards", "MB", "px", "tiles a photo × variants"]
    head += ["masks missing"] if card.mask_missing else []
    return _table(head, cells)


def _split_rule(card: Card) -> str:
    total = sum(sum(origin.counts.values()) for origin in card.origins)
    official = sum(origin.official for origin in card.origins)
    told = f"{official:,} of {total:,} photos stand in the split that their source gives them."
    if official == total:
        return told
    shares = [f"{card.params['index'][f'{split}_share']:g} {split}" for split in SPLITS[1:]]
    return (
        f"{told} The others go by groups of near-duplicates, by a seeded hash of the group's name"
        f" ({', '.join(shares)}, the rest train): no photo and no near-duplicate of it is in two"
        " splits, and a photo added moves no other."
    )


def _photos(card: Card) -> Iterator[str]:
    rows = [
        [_code(origin.source), *(f"{origin.counts[split]:,}" for split in SPLITS), origin.licence]
        for origin in card.origins
    ]
    yield _table(["source", *SPLITS, "licence, as the source tells it"], rows)
    yield "The licence of a photo holds for what was made of it. Every story names its photo."
    for origin in card.origins:
        if origin.names:
            yield f"Photos of `{origin.source}`: {', '.join(map(_code, origin.names))}."


def _samples(card: Card, rows: Sequence[ShardRow]) -> Iterator[str]:
    yield (
        "WebDataset tars. `<key>` is `<photo id>_<tile>_<variant>`; the id is a sha256 of the"
        " photo's pixels. Pictures are 8 bits, RGB or gray."
    )
    ends = {end: kind for split in SPLITS for kind, end in card.ends(split, rows).items()}
    meanings = {**MEANINGS, **({"mask": GIVEN_MASK} if card.given else {})}
    yield _table(
        ["file", "what it holds"], [[f"`<key>.{end}`", meanings[ends[end]]] for end in sorted(ends)]
    )
    yield PROFILES[card.block["profile"]]
    story = {**STORY, **(GIVEN_STORY if card.given else {})}
    yield _table(["field of the story", "what it tells"], [[_code(k), v] for k, v in story.items()])


def _rebuild(card: Card) -> str:
    stages = "fetch index" if card.given else "fetch index textures"
    packages = ", ".join(f"{name} {told}" for name, told in sorted(card.versions.items()))
    return (
        "In a clone of Patina whose `params.yaml` has the blocks above, with the same photos:\n\n"
        f"```sh\n./run setup\nfor stage in {stages}; do ./run stage $stage; done\n"
        f".venv/bin/patina synth {card.recipe}\n```\n\n"
        f"Seed {card.params['seed']}; params `{card.fingerprint}`; {packages}. The same kind of"
        " processor with the same packages makes the same bytes, for any number of processes."
        " Elsewhere, each shard's `content_sha256` in `manifest.json` tells whether pixels and"
        " stories are the same."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that cannot break a table or begin another block, whatever a file was named."""
    return " ".join(text.replace("|", "¦").split())


def _code(text: str) -> str:
    return f"`{_plain(text).replace('`', chr(39))}`"


def _yaml(data: Mapping[str, Any], flow: bool | None = None) -> str:
    writer, out = YAML(), io.StringIO()
    writer.default_flow_style, writer.width = flow, 100
    writer.representer.ignore_aliases = lambda data: True  # equal blocks are written out
    writer.dump(dict(data), out)
    return out.getvalue()
