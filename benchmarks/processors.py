"""Which operations of a cloak's steps another processor computes otherwise, and what becomes of it, as Markdown tables.

    python benchmarks/processors.py record MADE [--artifacts DIR]     # needs onnx
    python benchmarks/processors.py compare MADE [--artifacts DIR]    # on the other processor, with the same folder

The first takes the steps of the golden vectors, and keeps of each surrogate's first step every operation as a graph of
its own, with what went in and came out. The second takes the steps as well, and gives each operation the same numbers.
"""

import argparse
import json
import pickle
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.onnx_runtime import ort

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
DONE = (1, 2, 3, 5, 15)
Values = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation as a graph of its own, the name of its result, what goes in by name, and what comes out."""

    kind: str
    result: str
    graph: bytes
    inputs: Values
    outputs: list[Any]


@dataclass(frozen=True)
class Step:
    """A step: whom it asked, its inputs, what it made, and how similar the face is then, by each surrogate."""

    turn: int
    given: Values
    perturbation: NDArray[np.float32]
    protected: NDArray[np.uint8]
    similarities: list[float]


def session(model: str | bytes, fused: Path | None = None) -> ort.InferenceSession:
    """Open a graph, by its path or as bytes, on one thread; `fused` is where to save what the runtime makes of it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if fused:
        options.optimized_model_filepath = str(fused)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def path(artifacts: Artifacts, name: str) -> str:
    """Return the path of a graph."""
    return str(artifacts.folder / artifacts.manifest.graphs[name].file)


def take_steps(artifacts: Artifacts) -> list[Step]:
    """Take the steps of the golden vectors' cloak."""
    golden = json.loads((GOLDEN / "golden.json").read_text())
    said, (x, y), side = golden["cloak"], golden["square"]["corner"], golden["square"]["side"]
    face = np.ascontiguousarray(np.asarray(Image.open(GOLDEN / golden["photo"]["file"]))[y : y + side, x : x + side])
    floats = {name: np.array(said[name], np.float32) for name in ("keypoints", "reference", "budget", "clamp")}
    begin, end = (session(path(artifacts, f"attack-feature-{name}")) for name in ("begin", "end"))
    asked = {"face": face, "keypoints": floats.pop("keypoints"), "clamp": floats["clamp"]}
    found = begin.run(None, {**asked, "seed": np.array(said["seed"])})
    given = dict(zip([each.name for each in begin.get_outputs()], found, strict=True))
    given |= {**floats, "steps": np.array(said["steps"])}
    turns = artifacts.manifest.cloak.turns
    graphs = {turn: session(path(artifacts, f"attack-feature-step-{turn}")) for turn in set(turns)}
    ends = np.cumsum([each.embedding for each in artifacts.manifest.surrogates])[:-1]
    steps = []
    for number in range(said["steps"]):
        turn, feed = turns[number % len(turns)], given | {"iteration": np.array(number)}
        given["perturbation"], given["momentum_buffer"], _ = graphs[turn].run(None, feed)
        last = {"perturbation": given["perturbation"], "clamp": floats["clamp"]}
        (protected,) = end.run(None, {"face": face, **last})
        looked_at = {"face": protected, "keypoints": asked["keypoints"]}
        (seen,) = artifacts.cloak_reference.run(["reference"], looked_at)
        parts = zip(np.split(floats["reference"], ends), np.split(seen, ends), strict=True)
        similarities = [float(one @ other) for one, other in parts]
        steps.append(Step(turn, feed, last["perturbation"], protected, similarities))
    return steps


def operations(file: str, given: Values) -> Iterator[Operation]:
    """Yield every operation of a graph as the runtime fuses them, in order, but those of constants alone."""
    import onnx
    from onnx import helper, numpy_helper

    with tempfile.TemporaryDirectory() as folder:
        session(file, Path(folder) / "fused.onnx")
        model = onnx.load(Path(folder) / "fused.onnx")
    nodes = model.graph.node
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for node in nodes for name in node.output)
    whole = session(model.SerializeToString())
    names = [each.name for each in whole.get_outputs()]
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    values = weights | given | dict(zip(names, whole.run(names, given), strict=True))
    constant = set(weights)
    for node in nodes:
        inputs = {name: np.asarray(values[name]) for name in node.input if name}
        if constant.issuperset(inputs):
            constant.update(node.output)
            continue
        # A runtime lays constants out for its kernels when it loads a graph, so they have to be there.
        fixed = {name: inputs.pop(name) for name in constant & set(inputs)}
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in inputs.items()
        ]
        results = [helper.make_empty_tensor_value_info(name) for name in node.output]
        laid_out = [numpy_helper.from_array(value, name) for name, value in fixed.items()]
        alone = helper.make_graph([node], "operation", infos, results, laid_out)
        graph = helper.make_model(alone, opset_imports=model.opset_import, ir_version=model.ir_version)
        data = graph.SerializeToString()
        yield Operation(node.op_type, node.output[0], data, inputs, session(data).run(None, inputs))


def machine() -> str:
    """Say what computes here."""
    return f"{platform.machine()}, onnxruntime {ort.__version__}"


def record(artifacts: Artifacts, made: Path) -> None:
    """Keep the steps, and the operations of each surrogate's first."""
    steps = take_steps(artifacts)
    firsts = {step.turn: step for step in reversed(steps)}
    kept = {
        turn: list(operations(path(artifacts, f"attack-feature-step-{turn}"), firsts[turn].given))
        for turn in sorted(firsts)
    }
    made.write_bytes(pickle.dumps((machine(), artifacts.manifest.checkpoint_sha256, steps, kept)))


def compare(artifacts: Artifacts, made: Path) -> None:
    """Take the steps and compute each operation that was kept, and print how they differ; exits for other artifacts."""
    name, checkpoint, steps, kept = pickle.loads(made.read_bytes())
    if checkpoint != artifacts.manifest.checkpoint_sha256:
        raise SystemExit(f"{made}: of another folder of artifacts")
    print(f"| {machine()} against {name}: steps | perturbation: values that differ, most | pixels | similarities |")
    print("| --- | --- | --- | --- |")
    for done, (here, there) in enumerate(zip(take_steps(artifacts), steps, strict=True), 1):
        if done not in DONE:
            continue
        far = np.abs(here.perturbation - there.perturbation)
        pixels = np.abs(here.protected.astype(int) - there.protected)
        similar = "; ".join(" ".join(f"{value:.4f}" for value in step.similarities) for step in (here, there))
        counts = " | ".join(f"{(each > 0).mean():.2%}, {each.max():.2g}" for each in (far, pixels))
        print(f"| {done} | {counts} | {similar} |")
    for turn, all_of_it in kept.items():
        compare_operations(turn, all_of_it)


def compare_operations(turn: int, kept: list[Operation]) -> None:
    """Print which kinds of operations differ in a step, and by how much of the largest value of their result."""
    differ: dict[str, list[float]] = {}
    first: dict[str, int] = {}
    for index, operation in enumerate(kept):
        outputs = session(operation.graph).run(None, operation.inputs)
        far = max(map(distance, outputs, operation.outputs))
        differ.setdefault(operation.kind, []).append(far)
        if far:
            first.setdefault(operation.kind, index)
    print(f"\n| step {turn}: operation | there are | differ | most | the first |\n| --- | --- | --- | --- | --- |")
    for kind, index in first.items():
        distances = differ[kind]
        counts = f"{len(distances)} | {np.count_nonzero(distances)} | {max(distances):.2g}"
        print(f"| {kind} | {counts} | {index} of {len(kept)}, `{kept[index].result}` |")
    print(f"\nEqual in every bit: {', '.join(sorted(set(differ) - set(first)))}.")


def distance(one: Any, other: Any) -> float:
    """Return the largest difference of two results, as a part of the largest value."""
    one, other = (np.asarray(each, np.float64) for each in (one, other))
    return float(np.abs(one - other).max(initial=0) / max(np.abs(other).max(initial=0), 1e-30))


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("made", type=Path)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    options = parser.parse_args()
    command = record if options.command == "record" else compare
    command(Artifacts(options.artifacts, threads=1), options.made)


if __name__ == "__main__":
    main()
