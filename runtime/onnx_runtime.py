"""The one door to onnxruntime: every stage takes `ort` from here, so that it never reports its use to its maker.

The official builds since 1.29 write a device identifier into the user's cache folder and send events over the network,
unless the environment says otherwise before they are first imported. onnxruntime 1.32 reads `ORT_DISABLE_TELEMETRY`
alone; `ORT_TELEMETRY_DISABLED` is what its maker's libraries beside it (onnxruntime-genai) read.
"""

import functools
import os
import sys
import warnings

OPT_OUT = "ORT_DISABLE_TELEMETRY"
_OFF = ("1", "true", "yes", "on")  # with any other value of the opt-out onnxruntime reports all the same

# Whether another part of this program imported onnxruntime earlier, when nothing had told it not to report.
REPORTING = "onnxruntime" in sys.modules and os.environ.get(OPT_OUT, "").strip().lower() not in _OFF

os.environ.update({OPT_OUT: "1", "ORT_TELEMETRY_DISABLED": "1"})

import onnxruntime as ort  # noqa: E402

__all__ = ["OPT_OUT", "REPORTING", "ort", "warn_if_reporting"]


@functools.cache
def warn_if_reporting() -> None:
    """Warn, once in a process, when onnxruntime was imported before the opt-out was set: it cannot be set any more."""
    if REPORTING:
        warnings.warn(
            f"onnxruntime was imported before face_encryption and may report its use to its maker; set {OPT_OUT}=1 in"
            " the environment before anything imports it",
            stacklevel=3,
        )
