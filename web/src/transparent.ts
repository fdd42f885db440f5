/** Wholly transparent pixels get the colour of visible ones; `_fill_transparent` of srgan_tf/io/images.py. */

/**
 * Give wholly transparent pixels the colour of the nearest visible ones, and far ones the mean of all visible.
 *
 * Files leave black or white there, which a network would spread over the visible edge as a fringe. Changes `pixels`,
 * RGBA in 0-255.
 */
export function fillTransparent(pixels: Uint8ClampedArray, width: number, height: number): void {
  const weighted = new Float32Array(pixels.length); // colours times alpha, and alpha
  const sums = [0, 0, 0, 0];
  let some = false;
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3]! / 255;
    some ||= alpha === 0;
    for (let band = 0; band < 4; band++) {
      weighted[i + band] = alpha * (band === 3 ? 1 : pixels[i + band]!);
      sums[band]! += weighted[i + band]!;
    }
  }
  if (!some || !sums[3]) return;
  fill(pixels, (band) => sums[band]!, () => sums[3]!);
  for (const sigma of [12, 2]) { // far pixels coarsely, near ones finely
    const around = blurred(blurred(weighted, width, height, sigma, 4), height, width, sigma, 4 * width);
    fill(pixels, (band, i) => around[i + band]!, (i) => (around[i + 3]! > 1e-4 ? around[i + 3]! : 0));
  }
}

function fill(pixels: Uint8ClampedArray, colour: (band: number, i: number) => number, weight: (i: number) => number): void {
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] !== 0) continue;
    const share = weight(i);
    if (share) for (let band = 0; band < 3; band++) pixels[i + band] = Math.floor(colour(band, i) / share + 0.5);
  }
}

/** A Gaussian along an axis of `size` pixels, `step` values apart; the border's pixels repeat beyond it. */
function blurred(values: Float32Array, size: number, lanes: number, sigma: number, step: number): Float32Array {
  const reach = Math.floor(sigma * Math.sqrt(-2 * Math.log(0.01)));
  const taps = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
  const sum = taps.reduce((a, b) => a + b);
  const result = new Float32Array(values.length);
  const across = step === 4 ? 4 * size : 4; // from a lane to the next
  for (let lane = 0; lane < lanes; lane++) {
    for (let i = 0; i < size; i++) {
      const to = lane * across + i * step;
      for (let k = 0; k < taps.length; k++) {
        const from = lane * across + Math.min(Math.max(i + k - reach, 0), size - 1) * step;
        const tap = taps[k]! / sum;
        for (let band = 0; band < 4; band++) result[to + band]! += tap * values[from + band]!;
      }
    }
  }
  return result;
}
