"""XMP: what a packet tells, and the packet without pictures and without what no longer holds."""

from collections.abc import Iterator
from xml.dom import Node, minidom

from .embedded import holds_picture

# Namespaces that hold pictures, or say where in the file pictures, videos and gain maps are.
_GOOGLE = "http://ns.google.com/photos/"
_PICTURES = (
    *(
        "http://ns.adobe.com/xap/1.0/g/img/",
        _GOOGLE,
        "http://ns.adobe.com/hdr-gain-map/",
        "http://ns.apple.com/HDRGainMap/",
    ),
    *("http://ns.apple.com/pixeldatainfo/", "http://ns.xiaomi.com/photos/", "http://ns.oplus.com/photos/"),
    *("http://ns.samsung.com/", "http://ns.adobe.com/xmp/note/"),
)
_PANORAMA = _GOOGLE + "1.0/panorama/"
_THUMBNAILS = "Thumbnails"
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_REGIONS = ("http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/")
_PEOPLE = ("PersonInImage", "PersonInImageWDetails", "ImageRegion", "PersonDisplayName")
_PLACES = ("Location", "LocationCreated", "LocationShown", "City", "State", "CountryName", "Country", "Sublocation")
_AUTHORS = ("creator", "rights", "CreatorContactInfo", "AuthorsPosition")
# What is said in coordinates of the picture as it was stored.
_IN_COORDINATES = ("ImageRegion", "SubjectArea", "SubjectLocation")
_WIDTHS, _HEIGHTS = ("ImageWidth", "PixelXDimension"), ("ImageLength", "PixelYDimension")


class Packet:
    """An XMP packet."""

    def __init__(self, packet: bytes) -> None:
        """Read a packet.

        Raises:
            ValueError: it is not well formed, or makes use of entities, which XMP has none of.
        """
        if b"<!" in packet.replace(b"<!--", b"").replace(b"<![CDATA[", b"") or b"\0" in packet.strip(b"\0"):
            raise ValueError("a document type or an unusual encoding")
        try:
            self._document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
        except Exception as error:  # of expat, and of encodings that it does not know
            raise ValueError(str(error)) from error
        self._original = packet
        self._changed = False

    def facts(self) -> list[str]:
        """Return what the packet tells, in the user's words."""
        found = {"GPS position": False, "places": False, "names of people": False, "author": False}
        for node in self._nodes():
            space, name = node.namespaceURI or "", node.localName or ""
            found["GPS position"] |= name.lower().startswith("gps")
            found["places"] |= name in _PLACES
            found["names of people"] |= space.startswith(_REGIONS) or name in _PEOPLE
            found["author"] |= name in _AUTHORS
        return [what for what, is_told in found.items() if is_told]

    def clean(self, size: tuple[int, int], turned: bool) -> list[str]:
        """Remove what must not be written back, and make the rest true of the picture as it is written.

        Args:
            size: width and height of the upright photo.
            turned: the photo was not stored upright.

        Returns:
            What was removed, in the user's words.
        """
        removed = []
        for node in list(self._nodes()):
            space, name = node.namespaceURI or "", node.localName or ""
            is_region = space.startswith(_REGIONS) or space == _PANORAMA or name in _IN_COORDINATES
            if (space.startswith(_PICTURES) and space != _PANORAMA) or name == _THUMBNAILS or _holds_picture(node):
                removed += ["preview"] * (name == _THUMBNAILS or _holds_picture(node))
                self._remove(node)
            elif turned and is_region:
                removed.append("regions of the picture as it lay")
                self._remove(node)
            elif space in (_TIFF, _EXIF):
                if turned and name == "Orientation":
                    self._set(node, "1")
                elif name in _WIDTHS or name in _HEIGHTS:
                    self._set(node, str(size[name in _HEIGHTS]))
        return removed

    def to_bytes(self) -> bytes:
        """Return the packet to write; empty where a picture is left in it."""
        packet = self._original
        if self._changed:
            try:
                packet = "".join(node.toxml() for node in self._document.childNodes).encode()
            except RecursionError:  # of elements within elements
                return b""
        return b"" if holds_picture(packet) else packet

    def _nodes(self) -> Iterator["minidom.Element | minidom.Attr"]:
        """Yield all elements and attributes, whatever the depth; those below a removed element, too."""
        waiting: list[minidom.Node] = [self._document]
        while waiting:
            node = waiting.pop()
            waiting += reversed(node.childNodes)
            if isinstance(node, minidom.Element):
                yield node
                for attribute in list(node.attributes.values()):
                    if attribute.prefix != "xmlns" and attribute.name != "xmlns":
                        yield attribute

    def _remove(self, node: "minidom.Element | minidom.Attr") -> None:
        self._changed = True
        if isinstance(node, minidom.Attr):
            if node.ownerElement is not None:
                node.ownerElement.removeAttributeNode(node)
        elif node.parentNode is not None:
            node.parentNode.removeChild(node)

    def _set(self, node: "minidom.Element | minidom.Attr", value: str) -> None:
        self._changed = True
        if isinstance(node, minidom.Attr):
            node.value = value
        else:
            node.childNodes[:] = [self._document.createTextNode(value)]


def _holds_picture(node: "minidom.Element | minidom.Attr") -> bool:
    if isinstance(node, minidom.Attr):
        return holds_picture(node.value.encode())
    text = "".join(
        child.data for child in node.childNodes if child.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE)
    )
    return holds_picture(text.encode("utf-8", "replace"))
