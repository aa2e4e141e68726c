"""Attacked faces: what the attack does to a teacher's answer, and what the teachers say of the result."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ImageOps

from face_encryption.runtime.faces import detect, main_face
from face_encryption.training.checkpoint import load_checkpoint
from face_encryption.training.data import attacked as module
from face_encryption.training.data.attacked import EPSILONS, Student, attack, load_attacked
from face_encryption.training.data.cutting import cut_face, open_detector
from face_encryption.training.data.faces import FaceSet
from face_encryption.training.distill.aligned import AlignedRecognizer, align, read_recognizers
from face_encryption.training.distill.teacher import Teacher, describe
from face_encryption.training.evaluation.verification import outputs


def see(
    teachers: list[AlignedRecognizer], cut: NDArray[np.uint8], keypoints: NDArray[np.float32], *, mirrored: bool = False
) -> NDArray[np.float32]:
    """What onnxruntime says that the teachers see in one face."""
    seen = []
    for teacher in teachers:
        face = align(cut, keypoints, teacher.size, teacher.template)
        views = [face, ImageOps.mirror(face)] if mirrored else [face]
        embedding = np.sum([teacher.embed_aligned(view) for view in views], 0)
        seen.append(embedding / np.linalg.norm(embedding))
    return np.asarray(np.concatenate(seen) / len(seen) ** 0.5, np.float32)


@pytest.fixture(scope="module")
def teachers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[AlignedRecognizer]:
    file = tmp_path_factory.mktemp("teachers") / "teachers.toml"
    models = shared / "models"
    file.write_text(
        f'[sface]\nmodel = "{models}/sface.onnx"\n'
        f'[faceplugin]\nmodel = "{models}/faceplugin.onnx"\nchannels = "BGR"\nmean = 127.5\nstd = 128.0\n'
    )
    return list(read_recognizers(file).values())


@pytest.fixture(scope="module")
def faces(astronaut: NDArray[np.uint8], detector: Path, teachers: list[AlignedRecognizer]) -> FaceSet:
    """One face twice, the second time mirrored."""
    found = open_detector(detector)
    cuts, points, seen = [], [], []
    for image in (astronaut, np.ascontiguousarray(astronaut[:, ::-1])):
        cut, keypoints = cut_face(image, main_face(detect(found, image), image.shape), 187)
        cuts.append(cut)
        points.append(keypoints)
        seen.append(see(teachers, cut, keypoints))
    return FaceSet(np.stack(cuts), ["one", "two"], np.stack(points), np.stack(seen))


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_teachers_see_the_same_here_and_in_onnxruntime(
    faces: FaceSet, teachers: list[AlignedRecognizer], mirrored: bool, bf16: bool
) -> None:
    given = [Teacher(recognizer, bf16) for recognizer in teachers]
    got = describe(given, faces.faces, faces.keypoints, mirrored=mirrored)
    places = zip(faces.faces, faces.keypoints, strict=True)
    want = np.stack([see(teachers, cut, points, mirrored=mirrored) for cut, points in places])
    assert got.shape == want.shape
    assert ((got * want).sum(1) > 0.99).all()


def test_a_teacher_of_more_weight_counts_for_more(faces: FaceSet, teachers: list[AlignedRecognizer]) -> None:
    given = [Teacher(recognizer, bf16=False) for recognizer in teachers]
    given[1].weight = 3.0
    got = describe(given, faces.faces, faces.keypoints)
    assert np.allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert np.allclose((got[:, 128:] ** 2).sum(1), 0.75, atol=1e-5)


def test_an_attack_moves_away_or_towards_within_its_budget(faces: FaceSet, teachers: list[AlignedRecognizer]) -> None:
    given = [Teacher(recognizer, bf16=False) for recognizer in teachers]
    pixels = torch.from_numpy(faces.faces).permute(0, 3, 1, 2).float()
    other = torch.nn.functional.normalize(torch.randn(2, 640, generator=torch.Generator().manual_seed(0)), dim=1)
    assert faces.teacher is not None
    goal = torch.stack([torch.from_numpy(faces.teacher[0]), other[1]])
    goals = dict(zip(given, goal.split_with_sizes([128, 512], 1), strict=True))
    away = torch.tensor([True, False])
    changed = attack(pixels, faces.keypoints, goals, away, torch.Generator().manual_seed(1))
    assert torch.equal(changed, changed.round())
    assert 0 < (changed - pixels).abs().max() <= EPSILONS[1]
    seen = [
        see(teachers, cut, points)
        for cut, points in zip(changed.to(torch.uint8).permute(0, 2, 3, 1).numpy(), faces.keypoints, strict=True)
    ]
    before = [float(goal[i] @ torch.from_numpy(faces.teacher[i])) for i in range(2)]
    after = [float(goal[i] @ torch.from_numpy(seen[i])) for i in range(2)]
    assert after[0] < before[0] - 0.2
    assert after[1] > before[1] + 0.05


def test_attacked_faces_are_described_and_repeat_with_the_seed(
    faces: FaceSet, teachers: list[AlignedRecognizer], tmp_path: Path
) -> None:
    first, again, other = (
        load_attacked([faces], 2, teachers, tmp_path / str(n), seed) for n, seed in enumerate((1, 1, 2))
    )
    assert np.array_equal(first.faces, again.faces)
    assert not np.array_equal(first.faces, other.faces)
    assert first.names == ["", ""]
    assert first.teacher is not None
    for cut, points, described in zip(first.faces, first.keypoints, first.teacher, strict=True):
        assert see(teachers, cut, points) @ described > 0.98


def test_a_student_is_attacked_in_its_own_square(
    faces: FaceSet, teachers: list[AlignedRecognizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Path(__file__).parents[2] / "models" / "recognizer.safetensors"
    student = Student(checkpoint, faces.faces.shape[1], bf16=False)
    model, description = load_checkpoint(checkpoint)
    pixels = torch.from_numpy(faces.faces).permute(0, 3, 1, 2).float()
    seen = student.embed(pixels, student.maps(faces.keypoints))
    assert torch.allclose(seen, outputs(model, faces, description)[0], atol=1e-3)
    monkeypatch.setattr(module, "batch_size", lambda device: 1)  # every other batch is attacked through the student
    alone = load_attacked([faces], 2, teachers, tmp_path, 1)
    with_student = load_attacked([faces], 2, teachers, tmp_path, 1, student=checkpoint, share=0.5)
    assert [np.array_equal(*pair) for pair in zip(alone.faces, with_student.faces, strict=True)] == [True, False]
    goals: dict[Teacher, torch.Tensor] = {student: seen}
    changed = attack(pixels, faces.keypoints, goals, torch.tensor([True, True]), torch.Generator().manual_seed(1))
    assert ((student.embed(changed, student.maps(faces.keypoints)) * seen).sum(1) < 0.6).all()
