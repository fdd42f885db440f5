"""Colour that files state in other ways than by an ICC profile: as a profile that says the same, or as sRGB.

Codes of primaries and transfers are those of ITU-T H.273, which AVIF (nclx) and PNG (cICP) share.
"""

import struct
from dataclasses import dataclass

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
_D65, _C, _E = (0.3127, 0.329), (0.31, 0.316), (1 / 3, 1 / 3)
_601 = ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07))
_709 = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
PRIMARIES = {
    1: (*_709, _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), _D65),
    6: (*_601, _D65),
    7: (*_601, _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), _D65),
    10: ((1, 0), (0, 1), (0, 0), _E),
    11: (*_P3, (0.314, 0.351)),
    12: (*_P3, _D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), _D65),
}
# ICC's parametric curves, type 3: (a x + b)^g from d on, c x below it.
_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709 = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_240M = (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913)
TRANSFERS = {1: _BT709, 4: (2.2,), 5: (2.8,), 6: _BT709, 7: _240M, 8: (1.0,), 13: _SRGB, 14: _BT709, 15: _BT709}
TRANSFERS |= {17: (2.6,)}
_HDR = {16: "PQ", 18: "HLG"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Space:
    """An RGB or grey space: (red, green, blue, white) as xy; the curve to light as of TRANSFERS, or a table."""

    primaries: tuple = PRIMARIES[1]
    curve: tuple = _SRGB
    table: tuple = ()  # one or three rows of uint16, in place of the curve

    @property
    def is_srgb(self) -> bool:
        near = np.allclose(self.primaries, PRIMARIES[1], atol=0.0006)
        return near and self.curve == _SRGB and not self.table


def from_codes(primaries: int, transfer: int) -> Space:
    """The space of H.273's codes; 2, "unspecified", is taken as BT.709's primaries and sRGB's curve.

    Raises:
        ValueError: it is HDR, which 8-bit sRGB readers and these networks do not know, or reserved.
    """
    if transfer in _HDR:
        raise ValueError(
            f"it is HDR ({_HDR[transfer]}), which is not supported: convert it to SDR first, as by "
            "ffmpeg's zscale and tonemap filters"
        )
    primaries, transfer = (1 if primaries == 2 else primaries), (13 if transfer == 2 else transfer)
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        raise ValueError(f"its colour tags (primaries {primaries}, transfer {transfer}) are not supported")
    return Space(PRIMARIES[primaries], TRANSFERS[transfer])


def _xyz(xy) -> np.ndarray:
    x, y = (float(value) for value in xy)
    return np.array([x, y, 1 - x - y]) / (y or 1e-9)


def _columns(space: Space) -> np.ndarray:
    """XYZ of red, green and blue, relative to D50 as in all profiles (Bradford adaptation)."""
    red, green, blue, white = space.primaries
    unscaled = np.array([[xy[0], xy[1], 1 - xy[0] - xy[1]] for xy in (red, green, blue)], float).T
    try:
        matrix = unscaled * np.linalg.solve(unscaled, _xyz(white))
    except np.linalg.LinAlgError:
        raise ValueError("its primaries lie on one line: the colour tags are damaged") from None
    cones = (_BRADFORD @ D50) / (_BRADFORD @ _xyz(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix


def profile(space: Space, grey: bool = False) -> bytes:
    """An ICC profile that says the same as a space."""
    curves = [_curve(space, i) for i in range(1 if grey else 3)]
    tags = [(b"desc", _text("srgan_tf: as the file's colour tags")), (b"cprt", _text("CC0"))]
    tags += [(b"wtpt", _point(D50))]
    if grey:
        tags += [(b"kTRC", curves[0])]
    else:
        tags += [(name, _point(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _columns(space).T)]
        tags += list(zip((b"rTRC", b"gTRC", b"bTRC"), curves))
    place, index, bodies = 128 + 4 + 12 * len(tags), b"", b""
    known: dict[bytes, int] = {}  # the three curves are mostly one
    for name, body in tags:
        if body not in known:
            known[body] = place + len(bodies)
            bodies += body + b"\0" * (-len(body) % 4)
        index += struct.pack(">4sII", name, known[body], len(body))
    model = b"GRAY" if grey else b"RGB "
    head = struct.pack(">I4sI4s4s4s", place + len(bodies), b"\0" * 4, 0x04300000, b"mntr", model, b"XYZ ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + bodies


def _point(xyz) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in xyz))


def _text(text: str) -> bytes:
    body = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(body), 28) + body


def _curve(space: Space, channel: int) -> bytes:
    if space.table:
        row = space.table[channel % len(space.table)]
        return b"curv\0\0\0\0" + struct.pack(f">I{len(row)}H", len(row), *row)
    kind = 3 if len(space.curve) == 5 else 0
    return b"para\0\0\0\0" + struct.pack(f">HH{len(space.curve)}i", kind, 0, *(round(v * 65536) for v in space.curve))


def is_grey_profile(data: bytes) -> bool:
    return data[16:20] == b"GRAY"


def rgb_of_grey(data: bytes) -> bytes | None:
    """A grey profile's tone curve as a profile for equal R, G and B; None where it is of another kind."""
    try:
        for i in range(struct.unpack_from(">I", data, 128)[0]):
            name, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * i)
            body = data[offset : offset + size]
            if name == b"kTRC" and body[:4] == b"curv":
                count = struct.unpack_from(">I", body, 8)[0]
                row = struct.unpack_from(f">{count}H", body, 12)
                if count < 2:
                    return profile(Space(curve=(row[0] / 256 if count else 1.0,)))
                return profile(Space(table=(row,)))
            if name == b"kTRC" and body[:4] == b"para" and struct.unpack_from(">H", body, 8)[0] in (0, 3):
                count = (1, 3, 4, 5)[struct.unpack_from(">H", body, 8)[0]]
                return profile(Space(curve=tuple(v / 65536 for v in struct.unpack_from(f">{count}i", body, 12))))
    except struct.error:
        pass
    return None


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """CIE L*a*b* relative to D50 [..., 3] as sRGB in 0-1; what lies outside its gamut is cut off."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50
    light = (xyz @ np.linalg.inv(_columns(Space())).T).clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def ycbcr_to_rgb(samples: np.ndarray, coefficients: tuple, reference: tuple, top: int) -> np.ndarray:
    """YCbCr [..., 3] as R'G'B' in 0-1, by TIFF's YCbCrCoefficients and ReferenceBlackWhite (TIFF 6.0, section 21).

    Args:
        coefficients: of red, green and blue in luma.
        reference: levels of black and white of Y, Cb and Cr.
        top: the highest level of a sample.
    """
    red, green, blue = coefficients
    y, cb, cr = (
        (samples[..., i] - reference[2 * i]) * (top if i == 0 else top // 2) / (reference[2 * i + 1] - reference[2 * i])
        for i in range(3)
    )
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    return (np.stack([r, (y - blue * b - red * r) / green, b], -1) / top).clip(0, 1)
