"""XMP of results: true of an upright, larger picture alone. Pillow turns the pixels and reads the packets."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageOps

import srgan_tf
from srgan_tf.io import images, xmp

SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "xmpTPg": "http://ns.adobe.com/xap/1.0/t/pg/",
}
REGION = (
    '<mwg-rs:Regions><mwg-rs:AppliedToDimensions stDim:w="60" stDim:h="40" stDim:unit="pixel"/><mwg-rs:RegionList>'
    '<rdf:Bag><rdf:li><mwg-rs:Area stArea:x="{}" stArea:y="{}" stArea:w="0.25" stArea:h="0.17"/></rdf:li></rdf:Bag>'
    "</mwg-rs:RegionList></mwg-rs:Regions>"
)


def packet(attributes="", inside=""):
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in SPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {spaces}><rdf:Description rdf:about="" {attributes}>{inside}</rdf:Description></rdf:RDF>'
        '</x:xmpmeta>\n  <?xpacket end="w"?>'
    ).encode()


def jpeg(pixels, content, orientation=1) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, xmp=content, quality=95)
    return file.getvalue()


def described(data: bytes) -> dict[str, dict[str, str]]:
    """A file's XMP as ElementTree reads it: an element's name → its attributes and simple elements by name."""
    with Image.open(io.BytesIO(data)) as image:
        root = ElementTree.fromstring(image.info["xmp"])
    local = lambda name: name.rpartition("}")[2]  # noqa: E731
    return {
        local(element.tag): {local(name): value for name, value in element.attrib.items()}
        | {local(child.tag): child.text for child in element if not len(child)}
        for element in root.iter()
    }


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_turn_with_the_pixels(orientation):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[6:12, 40:50] = 255  # its middle at x = .75, y = .225
    data = jpeg(pixels, packet('tiff:Orientation="6"', REGION.format(0.75, 0.225)), orientation)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))[..., 0] > 128
    rows, columns = np.nonzero(turned)
    middle = (columns.mean() + 0.5) / turned.shape[1], (rows.mean() + 0.5) / turned.shape[0]
    told = described(srgan_tf.upscale_bytes(data, "compact", back_projection="none")[0])
    area, size = told["Area"], told["AppliedToDimensions"]
    assert (float(area["x"]), float(area["y"])) == pytest.approx(middle, abs=0.01)
    assert (area["w"], area["h"]) == (("0.25", "0.17") if orientation < 5 else ("0.17", "0.25"))
    assert (int(size["w"]), int(size["h"])) == (turned.shape[1] * 4, turned.shape[0] * 4)
    # Where pixels were not turned, it stays what it was.
    assert told["Description"]["Orientation"] == ("6" if orientation == 1 else "1")


def test_what_a_result_does_not_hold_is_no_longer_announced():
    content = packet(
        'hdrgm:Version="1.0" GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="99" xmpNote:HasExtendedXMP="A1" '
        'GDepth:Format="RangeInverse" dc:format="image/jpeg"',
        "<Container:Directory><rdf:Seq/></Container:Directory><GCamera:BurstID>b</GCamera:BurstID>",
    )
    left, gone = xmp.upright(content)
    assert gone == ["HDR gain map", "depth map", "extended XMP", "its list of further pictures", "motion video"]
    for word in (b"Version", b"MotionPhoto", b"MicroVideo", b"HasExtended", b"RangeInverse", b"Directory"):
        assert word not in left
    assert b'dc:format="image/jpeg"' in left and b"<GCamera:BurstID>b</GCamera:BurstID>" in left
    picture = images.load(jpeg(np.zeros((8, 8, 3), np.uint8), content))
    assert picture.notes == [f"left out: {', '.join(gone)}"]


def test_sizes_in_pixels_grow_and_others_stay():
    content = packet(
        'GPano:FullPanoWidthPixels="128" GPano:CroppedAreaLeftPixels="32" GPano:PoseHeadingDegrees="90" '
        'exif:PixelXDimension="64" tiff:ImageLength="48" tiff:XResolution="72/1"',
        '<xmpTPg:MaxPageSize stDim:w="8.5" stDim:h="11" stDim:unit="inch"/><tiff:ImageWidth>64</tiff:ImageWidth>',
    )
    told = described(jpeg(np.zeros((8, 8, 3), np.uint8), xmp.scaled(content, 4)))
    grown = ("FullPanoWidthPixels", "CroppedAreaLeftPixels", "PixelXDimension", "ImageLength", "ImageWidth")
    named = told["Description"]
    assert [named[name] for name in grown] == ["512", "128", "256", "192", "256"]
    assert (named["PoseHeadingDegrees"], named["XResolution"]) == ("90", "72/1")
    assert told["MaxPageSize"]["w"] == "8.5"


def test_packets_with_nothing_to_change_stay_byte_for_byte():
    content = packet('dc:format="image/jpeg"') + b"   \n"
    assert xmp.upright(content) == (content, []) and xmp.scaled(content, 4) == content


@pytest.mark.parametrize(
    "content", [b"<x:xmpmeta", b"\xff\xfe", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', packet()[:-60]]
)
def test_damaged_packets_are_left_out_with_a_note(content):
    assert xmp.upright(content) == (b"", ["damaged XMP"])
    picture = images.load(jpeg(np.zeros((8, 8, 3), np.uint8), content))
    assert "xmp-data" not in picture.metadata and picture.notes == ["left out: damaged XMP"]


def test_further_pictures_of_a_file_are_told_of():
    file, one = io.BytesIO(), Image.new("RGB", (16, 16), (90, 60, 30))
    one.save(file, "MPO", save_all=True, append_images=[one.rotate(90)])
    (note,) = images.load(file.getvalue()).notes
    assert note.startswith("left out: 1 further pictures of the file")
