"""What all tests share: the exported artifacts, the real data where it is at hand, and a photo that everybody has."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from .tracing import Trace, find_strace, trace

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def artifacts(request: pytest.FixtureRequest) -> Path:
    """All graphs, from the shipped checkpoint; FACE_ENCRYPTION_TEST_ARTIFACTS names a folder to use instead."""
    if given := os.environ.get("FACE_ENCRYPTION_TEST_ARTIFACTS"):
        return Path(given).resolve()
    folder: Path = request.getfixturevalue("traced_export")[0]
    return folder


@pytest.fixture(scope="session")
def traced_export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace | None]:
    """What `face-encryption export` makes, and what it was seen to do on the way, where strace may look."""
    folder = tmp_path_factory.mktemp("export")
    out, strace = folder / "artifacts", find_strace()
    if strace:
        found = trace(strace, folder, "export", "--out", out)
        assert found.exit_code == 0
        return out, found
    subprocess.run([sys.executable, "-m", "face_encryption.runtime", "export", "--out", out], check=True)
    return out, None


@pytest.fixture(scope="session")
def own_attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloak of our recognizer alone, and the detector, as an export writes and before it compares them."""
    return _attacks(tmp_path_factory.mktemp("own"), "int8")


@pytest.fixture(scope="session")
def float_attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in floats, which can be compared number by number, with the attack on labels and the recognizer."""
    return _attacks(tmp_path_factory.mktemp("floats"), "fp32")


def _attacks(folder: Path, arithmetic: Literal["int8", "fp32"]) -> Path:
    from face_encryption.export import pipeline, specs
    from face_encryption.export.attack.ensemble import source
    from face_encryption.export.attack.surrogate import FEATURE, LABEL, fold
    from face_encryption.export.cli import CHECKPOINT, MODELS
    from face_encryption.export.graph.build import gradient_graph
    from face_encryption.export.manifest import sha256
    from face_encryption.export.quantize.float_form import float_gradient
    from face_encryption.export.quantize.integer import integer_gradient
    from face_encryption.training.checkpoint import load_checkpoint

    own, digest = fold(*load_checkpoint(CHECKPOINT)), sha256(CHECKPOINT)
    ranges = pipeline.ranges_at_hand(CHECKPOINT, digest, arithmetic)
    writer = pipeline.GraphWriter(folder, digest, {})
    cloak = (
        integer_gradient(float_gradient(own, FEATURE), ranges["feature"]) if ranges else gradient_graph(own, FEATURE)
    )
    graphs = [specs.detector_spec(MODELS), *specs.feature_specs([cloak], [source(own)], pipeline.NOTHING)]
    if arithmetic == "fp32":
        graphs.append(specs.recognizer_spec(own))
        graphs += specs.label_specs(gradient_graph(own, LABEL), own.size, pipeline.NOTHING)
    for spec in graphs:
        if not spec.kind.endswith("unrolled"):
            writer.save(spec)
    writer.weights.write(folder)
    return folder


@pytest.fixture(scope="session")
def printed_on_loading() -> Callable[[Path], str]:
    """What loading a folder's graphs prints, with the options of a client that sets none."""

    def printed(folder: Path) -> str:
        code = "import sys\nfrom face_encryption.runtime.onnx_runtime import ort\n"
        code += "for file in sys.argv[1:]: ort.InferenceSession(file, providers=['CPUExecutionProvider'])"
        files = [str(path) for path in folder.glob("*.onnx")]
        done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    return printed


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's data folder, which is no part of the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the project's data are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """Eileen Collins, a public-domain portrait by NASA, uint8 [512, 512, 3]."""
    from skimage import data

    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def strace() -> str:
    """The program that shows what a process asks of the kernel, and can refuse it; Linux alone has it."""
    program = find_strace()
    if program is None:
        pytest.skip("strace is not installed or not permitted")
    return program
