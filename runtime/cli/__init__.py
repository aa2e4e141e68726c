"""The command line: `face-encryption protect`, `detect` and `inspect`, and the commands of the other stages.

Exit codes are those of `errors`; of several failures, the first one's. Faces that are still a match count more than
photos without a face, and less than any other failure.
"""

from .detect import detect
from .group import main
from .inspect import inspect
from .protect import protect

for command in (detect, inspect, protect):
    main.add_command(command)

__all__ = ["main"]
