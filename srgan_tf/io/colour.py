"""Turn colour that files state in other ways than by an ICC profile into a profile that says the same.

Codes of primaries and transfers are those of ITU-T H.273, which AVIF (nclx) and PNG (cICP) share. Pillow's and libvips'
lcms read profiles and build none from primaries.
"""

import struct
from dataclasses import dataclass

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
_D65, _C, _E = (0.3127, 0.329), (0.31, 0.316), (1 / 3, 1 / 3)
_601 = ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65)
_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
PRIMARIES = {
    **{1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), _D65), 4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C)},
    **{5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), _D65), 6: _601, 7: _601},
    **{8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C), 10: ((1, 0), (0, 1), (0, 0), _E)},
    **{9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), _D65), 11: (*_P3, (0.314, 0.351)), 12: (*_P3, _D65)},
    **{22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), _D65)},
}
# ICC's parametric curves, type 3: (a x + b)^g from d on, c x below it; or type 0: x^g.
_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709 = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_240M = (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913)
TRANSFERS = {4: (2.2,), 5: (2.8,), 7: _240M, 8: (1.0,), 13: _SRGB, 17: (2.6,)} | dict.fromkeys((1, 6, 14, 15), _BT709)
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
    """Return the space of H.273's codes; 2, "unspecified", is taken as BT.709's primaries and sRGB's curve.

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
        raise ValueError(
            f"its colour tags (primaries {primaries}, transfer {transfer}) are not supported: convert it to sRGB"
        )
    return Space(PRIMARIES[primaries], TRANSFERS[transfer])


def _columns(space: Space) -> np.ndarray:
    """Return XYZ of red, green and blue, relative to D50 as in all profiles (Bradford adaptation)."""
    xyz = np.array([[x, y, 1 - x - y] for x, y in space.primaries], float).T
    white = xyz[:, 3] / (xyz[1, 3] or 1e-9)
    try:
        matrix = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    except np.linalg.LinAlgError:
        raise ValueError("its primaries lie on one line: the colour tags are damaged") from None
    cones = (_BRADFORD @ D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix


def profile(space: Space, is_grey: bool = False) -> bytes:
    """Return an ICC profile that says the same as a space."""
    text = "srgan_tf: as the file's colour tags".encode("utf-16-be")
    tags = {b"desc": b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(text), 28) + text}
    tags |= {b"cprt": b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", 6, 28) + "CC0".encode("utf-16-be")}
    tags |= {b"wtpt": _point(D50)}
    if is_grey:
        tags |= {b"kTRC": _curve(space, 0)}
    else:
        tags |= {name: _point(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _columns(space).T)}
        tags |= {name: _curve(space, i) for i, name in enumerate((b"rTRC", b"gTRC", b"bTRC"))}
    place, index, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        index += struct.pack(">4sII", name, place + len(bodies), len(body))
        bodies += body + b"\0" * (-len(body) % 4)
    model = b"GRAY" if is_grey else b"RGB "
    head = struct.pack(">I4sI4s4s4s", place + len(bodies), b"\0" * 4, 0x04300000, b"mntr", model, b"XYZ ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + _point(D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + bodies


def _point(xyz) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in xyz))


def _curve(space: Space, channel: int) -> bytes:
    if space.table:
        row = space.table[channel % len(space.table)]
        return b"curv\0\0\0\0" + struct.pack(f">I{len(row)}H", len(row), *row)
    kind = 3 if len(space.curve) == 5 else 0
    return b"para\0\0\0\0" + struct.pack(f">HH{len(space.curve)}i", kind, 0, *(round(v * 65536) for v in space.curve))
