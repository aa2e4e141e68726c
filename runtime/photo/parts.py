"""What a photo file is taken apart into."""

from dataclasses import dataclass, field


@dataclass
class Parts:
    """A photo file taken apart.

    Attributes:
        picture: a file of the same kind with the picture alone.
        is_png: it is a PNG, whose metadata Pillow takes another way.
        has_end: the picture's data have an end; without it the last of them may be missing.
        progressive: the picture is coded from coarse to fine.
        exif: the EXIF block, a TIFF file, without "Exif" ahead of it.
        exif_turns: the orientation in it counts.
        xmp: the XMP packet.
        profile: the ICC profile, not checked.
        colour: PNG chunks, name and body, that say what the numbers mean as colours.
        comments: name and text of each.
        others: what else was in the file, in the user's words; it is never written back.
    """

    picture: bytes = b""
    is_png: bool = False
    has_end: bool = True
    progressive: bool = False
    exif: bytes = b""
    exif_turns: bool = True
    xmp: bytes = b""
    profile: bytes = b""
    colour: list[tuple[bytes, bytes]] = field(default_factory=list)
    comments: list[tuple[str, str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
