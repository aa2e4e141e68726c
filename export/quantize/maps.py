"""Maps as integers, and the ranges that they have on faces, which become their scales."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

# The range of a map, or the ranges of its channels.
Range = float | list[float]


class RangesError(ValueError):
    """Ranges that are missing, damaged, or of another network."""


@dataclass
class RangesInOrder:
    """Ranges in the order in which maps ask for theirs; ones where there are no more.

    `names` says who has asked, and whether for the range of each channel.
    """

    ranges: Sequence[Range] = ()
    names: dict[str, bool] = field(default_factory=dict)
    taken: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def take(self, value: ir.Value, channels: int | None = None) -> npt.NDArray[np.float32]:
        """Return the range of a map, f32 [], or the ranges of its `channels`, f32 [channels].

        Raises `RangesError` when what is next in order is of another kind.
        """
        name = value.name
        assert name is not None
        if name not in self.names:
            number, shape = len(self.names), (channels,) if channels else ()
            given = self.ranges[number] if number < len(self.ranges) else np.ones(shape)
            found = np.maximum(np.array(given, np.float32), np.float32(1e-12))
            if found.shape != shape:
                raise RangesError(f"{found.size} ranges for the map {name} of this network")
            self.names[name], self.taken[name] = channels is not None, found
        return self.taken[name]


@dataclass(frozen=True)
class Quantised:
    """A map as integers: it is `scale` times (`value` - `zero`), with `value` u8, `scale` f32 and `zero` u8 scalars.

    With `channels`, f32 [1, C, 1, 1], each channel is so many times larger.
    """

    value: ir.Value
    scale: ir.Value
    zero: ir.Value
    middle: int
    channels: ir.Value | None = None
