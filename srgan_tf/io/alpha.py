"""Colours of transparent pixels."""

import pyvips


def fill(image: pyvips.Image) -> pyvips.Image:
    """Give wholly transparent pixels the colour of the nearest visible ones, and far ones the mean of all visible.

    Files leave black or white there; a network spreads it over the visible edge as a fringe, and training crops it.
    """
    count = image.bands - 1
    colour, alpha = image[0] if count == 1 else image[:count], image[count]
    weight = alpha / (65535 if image.format == "ushort" else 255)
    share = weight.avg()
    if not share:  # nothing is visible
        return image
    mean = [band.avg() / share + 0.5 for band in (colour * weight).bandsplit()]
    filled = (alpha == 0).ifthenelse((colour * 0 + mean).cast(image.format), colour)
    for sigma in (12, 2):  # far pixels coarsely, near ones finely
        around = weight.gaussblur(sigma, min_ampl=0.01, precision="float")
        mean = (colour * weight).gaussblur(sigma, min_ampl=0.01, precision="float") / around
        filled = ((alpha == 0) & (around > 1e-4)).ifthenelse((mean + 0.5).cast(image.format), filled)
    return filled.bandjoin(alpha).copy(interpretation=image.interpretation)
