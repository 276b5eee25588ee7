import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torchvision import ops

from tests.test_layering import PACKAGE, modules
from yolo.light_torchvision import _import_torchvision, _without_compiler


def without_torch_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torch._dynamo")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_stand_in_asks_the_real_function_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    without_torch_compiler(monkeypatch)
    with _without_compiler():
        from torch._dynamo.utils import is_compile_supported as stand_in
    assert "torch._dynamo" not in sys.modules
    real = ModuleType("torch._dynamo.utils")
    real.is_compile_supported = lambda device: f"asked for {device}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch._dynamo", ModuleType("torch._dynamo"))
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", real)
    assert stand_in("cuda") == "asked for cuda"


def test_a_compiler_that_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ModuleType("torch._dynamo")
    monkeypatch.setitem(sys.modules, "torch._dynamo", there)
    with _without_compiler():
        assert sys.modules["torch._dynamo"] is there
    assert sys.modules["torch._dynamo"] is there


def test_a_torchvision_that_wants_more_of_the_compiler_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name which imports a module of the compiler that the stand-in does not have."""
    for name, text in {"torchvision": "from torchvision import part", "torch": "", "torch/_dynamo": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    (tmp_path / "torchvision" / "part.py").write_text("from torch._dynamo import another")
    (tmp_path / "torch" / "_dynamo" / "another.py").write_text("")
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torch", "torchvision"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        found = _import_torchvision()
        assert found.part.another.__file__ == str(tmp_path / "torch" / "_dynamo" / "another.py")
    finally:
        for name in list(sys.modules):
            if name.partition(".")[0] in ("torch", "torchvision"):
                del sys.modules[name]


def test_what_the_stand_in_was_for_works() -> None:
    pooled = ops.roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]), output_size=1)
    assert pooled.item() == 1


def test_torchvision_is_imported_in_one_place() -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        imports = [line for line in text.splitlines() if line.startswith(("import torchvision", "from torchvision"))]
        assert not imports or path == PACKAGE / "light_torchvision.py", path
