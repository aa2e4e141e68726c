import subprocess
import sys

import pytest

FOREIGN = ["torch", "onnx", "torchvision", "face_encryption.training", "face_encryption.export"]


def imported_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_runtime_imports_no_other_stage() -> None:
    modules = imported_after(
        "import pkgutil, importlib, face_encryption.runtime as runtime\n"
        "for found in pkgutil.iter_modules(runtime.__path__):\n"
        "    if found.name != '__main__': importlib.import_module(f'{runtime.__name__}.{found.name}')\n"
        "for name in runtime.__all__: getattr(runtime, name)"
    )
    assert "face_encryption.runtime.protector" in modules
    assert not modules & set(FOREIGN)


@pytest.mark.parametrize("module", ["face_encryption.runtime", "face_encryption.runtime.cli"])
def test_import_is_cheap(module: str) -> None:
    assert not imported_after(f"import {module}") & {"onnxruntime", "numpy", "PIL.Image"}


def test_unknown_name() -> None:
    import face_encryption.runtime

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = face_encryption.runtime.nonsense
