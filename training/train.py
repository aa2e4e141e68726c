"""Train a recognizer on a folder-per-identity data set, on one device or, under `torchrun`, on several.

    face-encryption export --detector-only
    face-encryption train LFW --teacher sface.onnx

`models/README.md` has the commands that made the checkpoint in `models/`.
"""

import json

from accelerate import Accelerator

from .checkpoint import Description, as_written, save_checkpoint
from .config import Config, Data, load_data
from .evaluation.verification import accuracy, verify
from .model import Recognizer
from .trainer import Trainer


def train(config: Config) -> Description:
    """Train a recognizer and write its checkpoint to `config.out`; returns the description that it holds.

    Raises `DataError`, `RecognizerError` or `CheckpointError`.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if config.bf16 else "no",
        log_with="tensorboard" if config.tensorboard else None,
        project_dir=config.out.parent,
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():
        data = load_data(config, accelerator.device)
    recipe = config.recipe
    description = Description(sorted(set(data.train.names)), recipe.input_size, crop_margin=recipe.crop_margin)
    description.recipe = json.dumps(config.summary())
    description.training_data = config.data_name or config.data.resolve().name
    trainer = Trainer(config, data, description, accelerator)
    trainer.fit()
    accelerator.end_training()
    description.minutes = round(trainer.seconds / 60, 1)
    if accelerator.is_main_process:
        # Measured is what is written, not the weights before rounding nor, with bf16, their arithmetic.
        model = as_written(trainer.recognizer)
        _measure(model, data, description)
        save_checkpoint(config.out, model, description)
        tested = f"test accuracy {description.accuracy:.4f}" if data.test else "no test photos"
        accuracies = f"training accuracy {description.training_accuracy:.4f}, {tested}"
        print(f"{config.out}: {accuracies} after {description.minutes} minutes")
    return description


def _measure(model: Recognizer, data: Data, description: Description) -> None:
    """Set the description's accuracies, thresholds and rates."""
    description.training_accuracy = round(accuracy(model, data.train, description), 4)
    if data.test:
        description.accuracy = round(accuracy(model, data.test, description), 4)
    if people := data.held_out or data.test:
        verification = verify(model, people, description)
        description.thresholds = verification.thresholds
        description.true_accept_rates = {rate: round(share, 4) for rate, share in verification.rates.items()}
        for rate, threshold in verification.thresholds.items():
            print(f"FAR {rate}: threshold {threshold}, TAR {description.true_accept_rates.get(rate, 'unknown')}")
