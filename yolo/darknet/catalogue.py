"""The networks whose cfg is shipped, and finding a cfg by path or by name. Source: yolo/recipes/*.cfg."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from yolo.darknet.cfg import Cfg, parse_cfg, read_cfg, shown
from yolo.errors import ConfigError

NETWORKS = ("yolov1", "yolov1-tiny", "yolo", "yolo-small", "yolo-tiny", "extraction")


def network_cfg(name: str) -> str:
    """Text of the cfg of a shipped network.

    Raises:
        ConfigError: no such network; the message names the nearest one.
    """
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"{shown(name)} is neither a file nor a network: {hint}The networks are {', '.join(NETWORKS)}"
        )
    return (resources.files("yolo") / "recipes" / f"{name}.cfg").read_text(encoding="utf-8")


def find_cfg(name_or_path: str | Path) -> Cfg:
    """A cfg by its path or, where there is no such file, by the name of a shipped network, `.cfg` or not.

    Raises:
        ConfigError: neither a file nor a network, or a file that is no cfg.
    """
    if _is_file(Path(name_or_path)):
        return read_cfg(Path(name_or_path))
    name = str(name_or_path).removesuffix(".cfg")
    return parse_cfg(network_cfg(name), source=f"{name}.cfg")


def _is_file(path: Path) -> bool:
    """False, too, for what can be no path at all: too long, or with characters that paths cannot have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
