"""How well protected photos are protected: the recognizer that was attacked beside black-box recognizers.

A recognizer finds the face on the bytes of the saved file, as anybody who has it would, and compares it with a clean
photo of the same person, the gallery. Protected are probes whose similarity to it lies below the recognizer's
threshold, which is set on the clean photos of different people.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.settings import Plan

from .people import People
from .probes import Embed, Embedding, ProtectedProbe, protect_probes
from .visibility import Distance

FARS = (0.01, 0.001)


@dataclass(frozen=True)
class Rates:
    """What one recognizer says of all probes, recompressed in one way.

    Shares are in [0, 1].

    Attributes:
        recognizer: its name.
        recompression: `probes.SAVED`, `probes.LANDMARKS_GIVEN`, or one of `probes.RECOMPRESSIONS`.
        far: the false accept rate of the threshold.
        threshold: similarities from here on count as the same person.
        clean: the clean probes that the recognizer misses by itself.
        protected: the protected probes that it misses, from `low` to `high` in 95 of 100 resamplings of the people.
        hidden: those of them in which no face was found.
        very_photo: the protected probes that it matches when the gallery holds the very photo, unprotected, as well.
        rank1_clean, rank1: closed-set identification, of clean and protected probes, among galleries and distractors.
        impostors: how often a protected probe matches somebody else's gallery.
    """

    recognizer: str
    recompression: str
    far: float
    threshold: float
    clean: float
    protected: float
    low: float
    high: float
    hidden: float
    very_photo: float
    rank1_clean: float
    rank1: float
    impostors: float


@dataclass(frozen=True)
class Measurement:
    """What was measured with one setting: the numbers it stands for, each person's probe, and everybody's rates."""

    plan: Plan
    probes: dict[str, ProtectedProbe]
    rates: list[Rates]


def measure_protection(
    protector: Protector,
    recognizers: Mapping[str, Embed],
    people: People,
    every: Iterable[Settings],
    recompressions: Sequence[str] = (),
    lpips: Distance | None = None,
) -> Iterator[Measurement]:
    """Protect the people's probes with each of the settings and ask each recognizer, one setting after the other."""
    for settings in every:
        probes = protect_probes(protector, recognizers, people.probes, people.known, settings, recompressions, lpips)
        rates = []
        for name in recognizers:
            protected = {way: [probe.embeddings[way][name] for probe in probes] for way in probes[0].embeddings}
            rates += evaluate(name, people.clean[name], people.gallery[name], protected, people.distractors.get(name))
        yield Measurement(protector.plan(settings), dict(zip(people.probes, probes, strict=True)), rates)


def evaluate(
    recognizer: str,
    clean: Embedding,
    gallery: Embedding,
    protected: Mapping[str, Sequence[Embedding | None]],
    distractors: Embedding | None = None,
) -> list[Rates]:
    """Return a recognizer's rates for each way of recompressing and each false accept rate.

    `clean` and `gallery`, f32 [N, D], and `protected`, f32 [D] or None without a face, are embeddings of unit norm, row
    by row of the same people, at least two; `distractors` f32 [M, D] are of others.
    """
    everybody = gallery if distractors is None or not len(distractors) else np.concatenate([gallery, distractors])
    rank1_clean = _rank1(clean @ everybody.T)
    impostor = ~np.eye(len(clean), dtype=bool)
    clean_similarities = clean @ gallery.T
    rates = []
    for recompression, embeddings in protected.items():
        hidden = np.array([each is None for each in embeddings])
        # Not-a-number is similar to nobody.
        nobody = np.full(clean.shape[1], np.nan, np.float32)
        probes = np.stack([nobody if each is None else each for each in embeddings])
        similarities = probes @ everybody.T
        mated = np.diag(similarities)
        twins = np.maximum(np.einsum("ij,ij->i", probes, clean), mated)
        for far in FARS:
            threshold = float(np.quantile(clean_similarities[impostor], 1 - far))
            safe = ~(mated >= threshold)  # true where there is no face
            low, high = _interval(safe)
            rates.append(
                Rates(
                    recognizer,
                    recompression,
                    far,
                    threshold,
                    clean=float((np.diag(clean_similarities) < threshold).mean()),
                    protected=float(safe.mean()),
                    low=low,
                    high=high,
                    hidden=float(hidden.mean()),
                    very_photo=float((twins >= threshold).mean()),
                    rank1_clean=rank1_clean,
                    rank1=_rank1(similarities),
                    impostors=float((similarities[:, : len(clean)][impostor] >= threshold).mean()),
                )
            )
    return rates


def _rank1(similarities: NDArray[np.float32]) -> float:
    """Return how often row i is most similar to column i; a row without a face never is."""
    best = np.nan_to_num(similarities, nan=-2.0).argmax(1)
    right = (best == np.arange(len(similarities))) & ~np.isnan(similarities[:, 0])
    return float(right.mean())


def _interval(safe: NDArray[np.bool_]) -> tuple[float, float]:
    random = np.random.default_rng(0)
    rates = random.choice(safe, (2000, len(safe))).mean(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)
