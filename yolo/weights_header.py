"""The metadata in a weights file: a JSON string in the header of a `*.safetensors` file, read without its tensors.

Neither torch nor numpy is imported here: options that follow from a file are needed before either. Writing:
`models.weights.save_weights`; what the metadata mean: `engine.detector_file`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yolo.errors import WeightsError, shown

METADATA_KEY = "gridyolo"


def find_metadata(path: Path) -> dict[str, Any] | None:
    """The metadata of a file written by `save_weights`, None for a safetensors file without them.

    Raises:
        WeightsError: missing, damaged, cut off, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: is damaged, cut off or no safetensors file ({error})") from error
    if METADATA_KEY not in header:
        return None
    try:
        metadata = json.loads(header[METADATA_KEY])
    except ValueError as error:
        raise WeightsError(f"{path}: its metadata are damaged ({error})") from error
    if not isinstance(metadata, dict):
        raise WeightsError(f"{path}: its metadata are damaged (they are {shown(metadata)})")
    return metadata


def read_metadata(path: Path) -> dict[str, Any]:
    """As `find_metadata`, but a file without metadata is an error, too."""
    metadata = find_metadata(path)
    if metadata is None:
        raise WeightsError(
            f"{path}: holds tensors but no gridyolo metadata; it is not a trained detector "
            "(a backbone file goes to `gridyolo train --weights`)"
        )
    return metadata
