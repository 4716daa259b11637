"""Croissant 1.0 of a shard set: what its tars hold, for programs (https://mlcommons.org/croissant/).

`mlcroissant` joins no two sets of files by their content, so every split and kind of file is a set
of records of its own; records of the same key make one sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.shards import SPLITS, ShardRow

VERSION = "1.0.0"  # of this description's form; the data's identity is the sha256 of each tar
KEY = r"^([^.]+)\."  # a sample's key, of a member's name
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    name: f"cr:{name}"
    for name in (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty",
        "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
        "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
        "separator", "source", "subField", "transform",
    )
}  # fmt: skip


def croissant(
    name: str,
    description: str,
    cite: str,
    licences: Sequence[str],
    rows: Sequence[ShardRow],
    members: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """JSON-LD of the shards `rows`, with addresses relative to their folder.

    `members`: split → kind of file → the end of its name, such as ``{"val": {"mask":
    "mask.png"}}``. Loading gives records ``<split>_<kind>`` with fields ``key`` and ``image`` (or
    ``text``, for JSON), and ``splits`` with the number of samples of each.
    """
    kinds = [
        (split, kind, end)
        for split in SPLITS
        for kind, end in members.get(split, {}).items()
        if any(row.split == split for row in rows)
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "citeAs": cite,
        "license": list(licences),
        "version": VERSION,
        "distribution": [
            *(_tar(row) for row in rows),
            *(_files(split, kind, end, rows) for split, kind, end in kinds),
        ],
        "recordSet": [_splits(rows), *(_records(*one) for one in kinds)],
    }


def _tar(row: ShardRow) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": row.name,
        "name": row.name,
        "contentUrl": row.name,
        "contentSize": f"{row.num_bytes} B",
        "encodingFormat": "application/x-tar",
        "sha256": row.sha256,
    }


def _files(split: str, kind: str, end: str, rows: Sequence[ShardRow]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{split}-{kind}",
        "name": f"{split}-{kind}",
        "containedIn": [{"@id": row.name} for row in rows if row.split == split],
        "encodingFormat": _encoding(end),
        "includes": f"*.{end}",
    }


def _splits(rows: Sequence[ShardRow]) -> dict[str, Any]:
    held = [split for split in SPLITS if any(row.split == split for row in rows)]
    sizes = {split: sum(row.num_samples for row in rows if row.split == split) for split in held}
    names = {"split": "sc:Text", "num_samples": "sc:Integer"}
    fields = [
        _named("Field", f"splits/{name}", name, dataType=kind) for name, kind in names.items()
    ]
    data = [{"splits/split": split, "splits/num_samples": size} for split, size in sizes.items()]
    return _named("RecordSet", "splits", "splits", key={"@id": "splits/split"},
                  dataType="cr:Split", field=fields, data=data)  # fmt: skip


def _records(split: str, kind: str, end: str) -> dict[str, Any]:
    name, files = f"{split}_{kind}", {"@id": f"{split}-{kind}"}
    text = _encoding(end) == "application/json"
    content = "text" if text else "image"
    key = {"fileSet": files, "extract": {"fileProperty": "filename"}, "transform": {"regex": KEY}}
    fields = [
        _named("Field", f"{name}/key", "key", dataType="sc:Text", source=key),
        _named(
            "Field", f"{name}/{content}", content,
            dataType="sc:Text" if text else "sc:ImageObject",
            source={"fileSet": files, "extract": {"fileProperty": "content"}},
        ),
    ]  # fmt: skip
    return _named("RecordSet", name, name, key={"@id": f"{name}/key"}, field=fields,
                  description=f"The file {kind} of every {split} sample.")  # fmt: skip


def _named(kind: str, identity: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"@type": f"cr:{kind}", "@id": identity, "name": name, **rest}


def _encoding(end: str) -> str:
    suffix = end.rpartition(".")[2]
    return {"json": "application/json", "jpg": "image/jpeg"}.get(suffix, f"image/{suffix}")
