"""Keep XMP true of an upright, larger picture without the further pictures and videos of its file."""

import re
from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers.expat import ExpatError

_GOOGLE = "http://ns.google.com/photos/1.0/"
# Namespaces of properties that describe what results do not hold: data behind the picture, or in further segments.
_GONE = {
    f"{_GOOGLE}container/": "its list of further pictures",
    f"{_GOOGLE}camera/": "motion video",
    f"{_GOOGLE}depthmap/": "depth map",
    f"{_GOOGLE}image/": "second picture",
    f"{_GOOGLE}audio/": "sound",
    "http://ns.google.com/photos/dd/1.0/device/": "depth map",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "HDR gain map",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDR gain map",
    "http://ns.apple.com/pixeldatainfo/1.0/": "depth map or HDR gain map",
    "http://ns.adobe.com/xmp/note/": "extended XMP",
}
_ONLY = {f"{_GOOGLE}camera/": ("MotionPhoto", "MicroVideo"), "http://ns.adobe.com/xmp/note/": ("HasExtendedXMP",)}
_RECTANGLES = "http://ns.microsoft.com/photo/1.2/"  # Microsoft's regions, written as one text
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_DIMENSIONS, _AREA = "http://ns.adobe.com/xap/1.0/sType/Dimensions#", "http://ns.adobe.com/xmp/sType/Area#"
_PANORAMA = f"{_GOOGLE}panorama/"
# Sizes in pixels, the names of width and height.
_SIZES = {
    _TIFF: ("ImageWidth", "ImageLength"),
    _EXIF: ("PixelXDimension", "PixelYDimension"),
    _DIMENSIONS: ("w", "h"),
}
# The middle of a region in an upright picture, by EXIF's orientation.
_TURNS = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


def upright(packet: bytes, orientation: int = 1) -> tuple[bytes, list[str]]:
    """Return an XMP packet that describes the upright picture alone, and the names of what was removed.

    Args:
        orientation: EXIF's, 1-8, which the pixels had.

    A packet that cannot be parsed is left out whole.
    """
    document = _parse(packet)
    if document is None:
        return b"", ["damaged XMP"] if packet.strip(b"\0 \n") else []
    before, gone = document.toxml(), set()
    for description in list(document.getElementsByTagNameNS("*", "Description")):
        for node in [*description.attributes.values(), *description.childNodes]:
            space, name = node.namespaceURI, node.localName
            is_gone = space in _GONE and name.startswith(_ONLY.get(space, ""))
            if is_gone or (space == _RECTANGLES and orientation > 1):
                gone.add(_GONE.get(space, "Microsoft's face regions"))
                _remove(node)
    if orientation > 1:
        _turn(document, orientation)
    return (packet if document.toxml() == before else _serialise(document)), sorted(gone)


def scaled(packet: bytes, scale: int) -> bytes:
    """Return an XMP packet whose sizes in pixels are those of a picture `scale` times as large."""
    document = _parse(packet)
    if document is None:
        return packet
    before = document.toxml()
    for node in _properties(document):
        if _is_size(node) and (number := _number(node)) is not None:
            _write(node, f"{number * scale:.10g}")
    return packet if document.toxml() == before else _serialise(document)


def _parse(packet: bytes) -> minidom.Document | None:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # entities could unfold to gigabytes
        return None
    try:
        return minidom.parseString(packet.strip(b"\0 \n\r\t"))
    except (ExpatError, ValueError, LookupError):
        return None


def _serialise(document: minidom.Document) -> bytes:
    return "\n".join(node.toxml() for node in document.childNodes).encode()


def _properties(document: minidom.Document) -> Iterator[minidom.Node]:
    """Yield attributes, and elements that hold nothing but text."""
    for element in document.getElementsByTagName("*"):
        yield from element.attributes.values()
        if len(element.childNodes) == 1 and element.firstChild.nodeType == element.TEXT_NODE:
            yield element


def _owner(node: minidom.Node) -> minidom.Node:
    return node.ownerElement if node.nodeType == node.ATTRIBUTE_NODE else node.parentNode


def _is_size(node: minidom.Node) -> bool:
    space, name = node.namespaceURI, node.localName
    if space == _DIMENSIONS:  # of pages and prints too
        owners = _owner(node).localName, _owner(node).parentNode.localName
        return name in _SIZES[space] and "AppliedToDimensions" in owners
    return name in _SIZES.get(space, ()) or (space == _PANORAMA and name.endswith("Pixels"))


def _write(node: minidom.Node, text: str) -> None:
    if node.nodeType == node.ATTRIBUTE_NODE:
        node.value = text
    else:
        node.firstChild.data = text


def _remove(node: minidom.Node) -> None:
    if node.nodeType == node.ATTRIBUTE_NODE:
        node.ownerElement.removeAttributeNode(node)
    else:
        node.parentNode.removeChild(node)


def _number(node: minidom.Node) -> float | None:
    text = node.value if node.nodeType == node.ATTRIBUTE_NODE else node.firstChild.data
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _turn(document: minidom.Document, orientation: int) -> None:
    """Turn regions and pairs of sizes; the packet's own orientation becomes 1."""
    groups: dict[int, dict[tuple[str, str], minidom.Node]] = {}
    for node in _properties(document):
        if (node.namespaceURI, node.localName) == (_TIFF, "Orientation"):
            _write(node, "1")
        groups.setdefault(id(_owner(node)), {})[node.namespaceURI, node.localName] = node
    for group in groups.values():
        found = [group.get((_AREA, name)) for name in ("x", "y", "w", "h")]
        numbers = [None if node is None else _number(node) for node in found]
        if None not in numbers[:2]:
            for node, value in zip(found, _TURNS[orientation](*numbers[:2])):
                _write(node, f"{value:.10g}")
        pairs = [(found[2], found[3])] + [
            tuple(group.get((space, n)) for n in names) for space, names in _SIZES.items()
        ]
        for one, other in pairs if orientation > 4 else ():
            values = [None if node is None else _number(node) for node in (one, other)]
            if None not in values and (one is found[2] or _is_size(one)):
                _write(one, f"{values[1]:.10g}")
                _write(other, f"{values[0]:.10g}")
