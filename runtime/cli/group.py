"""The group of all commands: the runtime's, and those of other stages, which are imported only when asked for."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from ..errors import FaceEncryptionError

INTERRUPTED = 130


def _failure(message: str, exit_code: int) -> click.ClickException:
    """Return an exception that click shows in one line and exits with."""
    failure = click.ClickException(message)
    failure.exit_code = exit_code  # type: ignore[misc]
    return failure


class _Commands(click.Group):
    """The runtime's commands, and those of other stages, which are imported only when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_other_stages()})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = super().get_command(ctx, name)
        if command is None and (entry := _other_stages().get(name)):
            try:
                command = entry.load()
            except ImportError as error:
                command = _missing_stage(entry, error)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FaceEncryptionError as error:
            raise _failure(str(error), error.exit_code) from error
        except ImportError as error:
            if (entry := _other_stages().get(ctx.invoked_subcommand or "")) is None:
                raise
            raise _failure(f"{entry.name}: {error}; {_how_to_install(entry)}", 2) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


def _other_stages() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="face_encryption.commands")}


def _how_to_install(entry: EntryPoint) -> str:
    extra = entry.value.split(".")[1]  # the extra is named as the stage
    return f"install face-encryption[{extra}]"


def _missing_stage(entry: EntryPoint, error: ImportError) -> click.Command:
    """Stand in for a command whose packages are not installed."""

    def fail() -> None:
        raise error

    return click.Command(
        entry.name,
        callback=fail,
        short_help=f"Not installed: {_how_to_install(entry)}.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )


@click.group(cls=_Commands)
@click.version_option(package_name="face-encryption")
def main() -> None:
    """Protect the faces in photos from face recognition, on this machine."""
