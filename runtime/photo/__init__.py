"""A photo file: its bytes to upright RGB pixels, and pixels back to bytes of the same kind.

Reads and writes JPEG, PNG and WebP. A file is first taken apart (`jpeg`, `png`, `webp`), so that the decoder sees
nothing but the picture and a flaw in the metadata costs the metadata alone; `read` decodes, `image` encodes; `metadata`
decides with `exif`, `xmp` and `profiles` what is written back; `embedded` knows pictures that hide in it.
"""

from .image import Format, Photo, grey
from .metadata import MetadataPolicy
from .read import MAX_MEGAPIXELS, SUPPORTED, read_photo, read_squares

__all__ = ["MAX_MEGAPIXELS", "SUPPORTED", "Format", "MetadataPolicy", "Photo", "grey", "read_photo", "read_squares"]
