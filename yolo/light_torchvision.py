"""torchvision, imported without torch's compiler, which takes a second to import and which nothing here uses.

`torchvision.ops.roi_align` imports one function of `torch._dynamo`, to ask something of it when it is called. While
torchvision is imported, a stand-in is there that asks the real one when it is called. Modules import torchvision from
here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_COMPILER, _ASKED, _QUESTION = "torch._dynamo", "torch._dynamo.utils", "is_compile_supported"


@contextmanager
def _without_compiler() -> Iterator[None]:
    """The stand-in, unless the compiler is there already."""
    if _COMPILER in sys.modules:
        yield
        return
    package, asked = ModuleType(_COMPILER), ModuleType(_ASKED)
    package.__path__ = []  # its other modules cannot be found meanwhile
    setattr(asked, _QUESTION, lambda device: getattr(import_module(_ASKED), _QUESTION)(device))
    sys.modules |= {_COMPILER: package, _ASKED: asked}
    try:
        yield
    finally:
        del sys.modules[_COMPILER], sys.modules[_ASKED]


def _import_torchvision() -> Any:
    before = set(sys.modules)
    try:
        with _without_compiler():
            return import_module("torchvision")
    except ImportError:
        # a version that wants more of the compiler: from the beginning, with it
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        return import_module("torchvision")


if TYPE_CHECKING:
    import torchvision
else:
    torchvision = _import_torchvision()

from torchvision.models.feature_extraction import NodePathTracer, create_feature_extractor  # noqa: E402
from torchvision.ops import nms  # noqa: E402

__all__ = ["NodePathTracer", "create_feature_extractor", "nms", "torchvision"]
