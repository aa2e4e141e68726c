"""What each epoch came to: a CSV file beside the checkpoint, its plot, and TensorBoard."""

import csv
import time
from pathlib import Path

from accelerate import Accelerator

# A plot of the history takes longer than a GPU's epoch, so it is drawn every so many seconds.
PLOT_SECONDS = 10.0


class History:
    """The history of a run; the main process alone writes it."""

    def __init__(self, checkpoint: Path, accelerator: Accelerator, done: int) -> None:
        """Begin, or go on after `done` epochs: what an earlier run wrote of those to come is not of this one."""
        self.path, self.accelerator, self.plotted = checkpoint.with_suffix(".csv"), accelerator, 0.0
        accelerator.init_trackers(checkpoint.stem, init_kwargs={"tensorboard": {"purge_step": done + 1}})

    def add(self, row: dict[str, float | str], *, last: bool) -> None:
        """Append an epoch, "" for what was not measured; the plot shows the `last` one for certain."""
        if not self.accelerator.is_main_process:
            return
        new = row["epoch"] == 1 or not self.path.exists()
        with self.path.open("w" if new else "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        if last or time.perf_counter() - self.plotted > PLOT_SECONDS:
            plot_history(self.path)
            self.plotted = time.perf_counter()
        figures = {name: value for name, value in row.items() if name != "epoch" and value != ""}
        self.accelerator.log(figures, step=int(row["epoch"]))
        print(row)


def plot_history(path: Path) -> None:
    """Draw a history's CSV into a PNG beside it: the loss, and the accuracies. Imports matplotlib."""
    from matplotlib.figure import Figure

    with path.open() as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [float(row["loss"]) for row in rows])
    left.set(xlabel="epoch", ylabel="loss", yscale="log")
    for part in ("train", "validation"):
        right.plot(epochs, [float(row[f"{part}_accuracy"] or "nan") for row in rows], label=part)
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    right.legend()
    figure.savefig(path.with_suffix(".png"), dpi=100)
