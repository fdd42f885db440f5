/** MATLAB's `imresize(..., 'bicubic')` by whole factors; srgan_tf/data/bicubic.py in TypeScript, for floats. */
import type { Picture } from "./tiling.js";

/** For each phase the taps, the first at `first`; the next group of phases is `stride` pixels further. */
interface Kernel {
  stride: number;
  phases: { first: number; taps: number[] }[];
}

function cubic(x: number): number {
  x = Math.abs(x);
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

/** Results of size `made` for every `stride` pixels, by Keys' cubic (1981, a = -0.5), widened when shrinking. */
function kernel(made: number, stride: number): Kernel {
  const step = stride / made;
  const widen = Math.max(step, 1);
  const phases = Array.from({ length: made }, (_, phase) => {
    const centre = (phase + 0.5) * step - 0.5;
    const first = Math.floor(centre - 2 * widen) + 1;
    const last = Math.ceil(centre + 2 * widen) - 1;
    const taps = Array.from({ length: last - first + 1 }, (_, i) => cubic((first + i - centre) / widen));
    const sum = taps.reduce((a, b) => a + b);
    return { first, taps: taps.map((tap) => tap / sum) };
  });
  return { stride, phases };
}

/** The picture `scale` times larger. */
export const enlarge = (picture: Picture, scale: number): Picture => resize(picture, kernel(scale, 1));

/** The picture shrunk to numerator / denominator of its size, which denominator divides. */
export const shrink = (picture: Picture, numerator: number, denominator: number): Picture =>
  resize(picture, kernel(numerator, denominator));

function resize(picture: Picture, kernel: Kernel): Picture {
  return acrossRows(downColumns(picture, kernel), kernel);
}

function downColumns({ height, width, bands, values }: Picture, { stride, phases }: Kernel): Picture {
  const made = (height / stride) * phases.length;
  const line = width * bands;
  const result = new Float32Array(made * line);
  for (let y = 0; y < made; y++) {
    const { first, taps } = phases[y % phases.length]!;
    const start = Math.floor(y / phases.length) * stride + first;
    const row = result.subarray(y * line, (y + 1) * line);
    for (let k = 0; k < taps.length; k++) {
      const from = Math.min(Math.max(start + k, 0), height - 1) * line;
      const tap = taps[k]!;
      for (let i = 0; i < line; i++) row[i]! += tap * values[from + i]!;
    }
  }
  return { height: made, width, bands, values: result };
}

function acrossRows({ height, width, bands, values }: Picture, { stride, phases }: Kernel): Picture {
  const made = (width / stride) * phases.length;
  const result = new Float32Array(height * made * bands);
  const longest = Math.max(...phases.map(({ taps }) => taps.length));
  // Where each tap reads and what it weighs, for every column of the result, so that the loop below is plain.
  const places = new Int32Array(made * longest);
  const weights = new Float32Array(made * longest);
  for (let x = 0; x < made; x++) {
    const { first, taps } = phases[x % phases.length]!;
    const start = Math.floor(x / phases.length) * stride + first;
    for (let k = 0; k < longest; k++) {
      places[x * longest + k] = Math.min(Math.max(start + k, 0), width - 1) * bands;
      weights[x * longest + k] = taps[k] ?? 0;
    }
  }
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width * bands;
    for (let x = 0; x < made; x++) {
      for (let band = 0; band < bands; band++, to++) {
        let sum = 0;
        for (let k = x * longest; k < (x + 1) * longest; k++) sum += weights[k]! * values[row + places[k]! + band]!;
        result[to] = sum;
      }
    }
  }
  return { height, width: made, bands, values: result };
}
