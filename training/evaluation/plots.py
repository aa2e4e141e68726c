"""Pictures of what was measured; matplotlib is imported when one is drawn."""

from pathlib import Path

from .verification import Verification


def plot_verification(verification: Verification, path: Path) -> None:
    """Draw how similar faces of one person and of different people are, and the thresholds by false accept rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for values, label in ((verification.impostor, "different people"), (verification.same, "same person")):
        axes.hist(values.numpy(), bins=100, range=(-1, 1), density=True, alpha=0.6, label=label)
    for rate, threshold in verification.thresholds.items():
        axes.axvline(threshold, color="black", linestyle=":")
        axes.text(threshold, axes.get_ylim()[1], f" FAR {float(rate):.1%}", rotation=90, va="top", ha="right")
    axes.set(xlabel="cosine similarity", ylabel="density")
    axes.legend()
    figure.savefig(path, dpi=100)


def plot_rates(measures: dict[str, list[float]], rates: dict[str, list[float]], path: Path) -> None:
    """Draw protection rates, by recognizer, against each measure of what can be seen, by name: a value a setting.

    Less is seen on the left of each. Dots bear the settings' numbers, from 1.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(measures) + 2, 4.5), layout="constrained")
    for axes, (measure, shown) in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True
    ):
        order = sorted(range(len(shown)), key=lambda setting: shown[setting])
        for name, values in rates.items():
            axes.plot([shown[each] for each in order], [values[each] for each in order], marker="o", label=name)
            for number, point in enumerate(zip(shown, values, strict=True), 1):
                axes.annotate(str(number), point, (0, 5), textcoords="offset points", fontsize=7)
        axes.set(xlabel=measure, ylabel="protection rate at FAR 1 %", ylim=(0, 1.05))
        if measure != "LPIPS":  # of the others more is better
            axes.invert_xaxis()
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=100)
