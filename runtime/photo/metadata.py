"""What travels with a photo's pixels: what is always written back, what only on request, and what never.

The colour profile and the resolution belong to the picture and stay. EXIF, XMP and comments tell where, when and by
whom the photo was taken: by default they are removed. Pictures among them are removed even when the rest is kept,
because they show the face before protection, and so is what says that other pictures follow, which no longer do.
"""

import contextlib
import math
from typing import Any, Literal

from PIL import Image, PngImagePlugin

from . import exif, profiles, xmp
from .embedded import holds_picture
from .parts import Parts

MetadataPolicy = Literal["strip", "keep"]

_MAX_SEGMENT = 65_000  # a JPEG segment has a length of 16 bits, part of which the segment's own header takes
_MAX_READ = 2**18  # of XMP, which is not read beyond this


class Metadata:
    """What is written back beside the pixels, and what the user is told of it."""

    def __init__(self, parts: Parts, image: Image.Image, dpi: Any, turned: bool, policy: MetadataPolicy) -> None:
        """Decide on all of it.

        Args:
            parts: the file.
            image: its picture, upright.
            dpi: its resolution in dots per inch, where it is told outside of EXIF.
            turned: the picture was not stored upright.
            policy: "strip", or "keep" for EXIF, XMP and comments.
        """
        self.options: dict[str, Any] = {}
        self._lost: list[str] = []
        self._kept: list[str] = []
        self._parts, self._image, self._turned = parts, image, turned
        self._exif = exif.read_exif(parts.exif)
        self._packet = None
        if parts.xmp and len(parts.xmp) <= _MAX_READ:
            with contextlib.suppress(ValueError):
                self._packet = xmp.Packet(parts.xmp)
        if parts.is_png:
            self.options["pnginfo"] = PngImagePlugin.PngInfo()
        self._keep_colour()
        if resolution := _resolution(dpi, self._exif):
            self.options["dpi"] = resolution
        if policy == "keep":
            self._keep_exif()
            self._keep_xmp()
            self._keep_comments()
        else:
            self._lost += self._told()
        self._lost += ["thumbnail"] * exif.has_thumbnail(parts.exif) + parts.others

    def notes(self) -> list[str]:
        """Return one line for what was removed, and one for what is still there."""
        notes = [f"removed from the file: {', '.join(dict.fromkeys(self._lost))}"] if self._lost else []
        return notes + ([f"still in the file: {', '.join(dict.fromkeys(self._kept))}"] if self._kept else [])

    def _told(self) -> list[str]:
        """Return what the file says beside the picture, in the user's words."""
        told = ["EXIF"] if self._parts.exif else []
        told += exif.facts(self._exif) if self._exif is not None else []
        told += ["XMP"] if self._parts.xmp else []
        told += self._packet.facts() if self._packet else []
        told += ["comments"] * bool(self._parts.comments)
        size = self._image.size
        hidden = exif.clean(self._exif, size, False) if self._exif is not None else []
        hidden += self._packet.clean(size, False) if self._packet else []
        return told + ["preview"] * ("preview" in hidden)

    def _keep_colour(self) -> None:
        for name, body in self._parts.colour:
            self.options["pnginfo"].add(name, body)
        if profile := profiles.valid(self._parts.profile):
            self.options["icc_profile"] = profile
            rest = self._parts.profile[len(profile) :].strip(b"\0")
            self._lost += ["data behind the colour profile"] * bool(rest)
            return
        self._lost += ["colour profile, which is damaged"] * bool(self._parts.profile)
        in_colour = self._image.mode.startswith("RGB") and not self._parts.colour
        if in_colour and self._exif is not None and exif.is_adobe_rgb(self._exif):
            self.options["icc_profile"] = profiles.adobe_rgb()

    def _keep_exif(self) -> None:
        if not self._parts.exif:
            return
        lost = exif.clean(self._exif, self._image.size, self._turned) if self._exif is not None else []
        block = exif.to_block(self._exif) if self._exif is not None else b""
        if self._exif is not None and 0 < len(block) <= _MAX_SEGMENT:
            self.options["exif"] = block
            self._kept += ["EXIF", *exif.facts(self._exif)]
            self._lost += lost
        else:
            self._lost.append("EXIF, which is damaged or too large")

    def _keep_xmp(self) -> None:
        if not self._parts.xmp:
            return
        lost = self._packet.clean(self._image.size, self._turned) if self._packet else []
        packet = self._packet.to_bytes() if self._packet else b""
        if self._packet is None or not 0 < len(packet) <= _MAX_SEGMENT:
            self._lost.append("XMP, which is damaged or too large")
            return
        if self._parts.is_png:
            self.options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode("utf-8", "replace"))
        else:
            self.options["xmp"] = packet
        self._kept += ["XMP", *self._packet.facts()]
        self._lost += lost

    def _keep_comments(self) -> None:
        comments = [(name, text) for name, text in self._parts.comments if not _is_picture(name, text)]
        self._lost += ["preview"] * (len(comments) < len(self._parts.comments))
        if self._parts.is_png:
            for name, text in comments:
                if 0 < len(name) < 80:  # as PNG has it
                    self.options["pnginfo"].add_itxt(name, text)
        elif comments:  # a JPEG's, of which Pillow writes one
            joined = "\n".join(text for _, text in comments).encode("latin-1", "replace")
            if len(joined) > _MAX_SEGMENT:
                self._lost.append("comments, which are too large")
                return
            self.options["comment"] = joined
        self._kept += ["comments"] * bool(comments)


def _is_picture(name: str, text: str) -> bool:
    return any(holds_picture((name + text).encode(encoding, "replace")) for encoding in ("utf-8", "latin-1"))


def _resolution(dpi: Any, block: exif.Exif | None) -> tuple[float, float] | None:
    """Return dots per inch, or None where the file states none or nonsense."""
    try:
        if dpi is not None:
            x, y = (float(value) for value in dpi)
        elif block is not None:
            unit = 2.54 if block.get(0x0128) == 3 else 1.0
            x, y = float(block[0x011A]) * unit, float(block[0x011B]) * unit
        else:
            return None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(value) and 1 <= value < 65535 for value in (x, y)) else None
