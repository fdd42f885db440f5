/** Back-projection (Irani & Peleg 1991): SR corrected so that it shrinks back to LR; srgan_tf/inference/pipeline.py. */
import { enlarge, shrink } from "./bicubic.js";
import type { Picture } from "./tiling.js";

const STEPS = 2; // each sees 4 px (LR) further: shrinking 2, and enlarging as many
const BLUR = 9; // LR px, twice: of what is lacking in colour

export type BackProjection = "full" | "colour" | "none";

/** LR pixels on each side that a pixel of the result depends on beyond SR's own. */
export const reach = (kind: BackProjection): number => STEPS * { full: 4, colour: 4 + BLUR - 1, none: 0 }[kind];

/** SR in [-1, 1] plus what it lacks of LR in [0, 1] when it is shrunk, enlarged. Changes `sr`, which it returns. */
export function backProject(sr: Picture, lr: Picture, scale: number, kind: "full" | "colour"): Picture {
  const { values } = sr;
  for (let step = 0; step < STEPS; step++) {
    for (let i = 0; i < values.length; i++) values[i] = Math.min(Math.max(values[i]!, -1), 1);
    let lacking = shrink(sr, 1, scale);
    for (let i = 0; i < lr.values.length; i++) lacking.values[i] = lr.values[i]! * 2 - 1 - lacking.values[i]!;
    if (kind === "colour") lacking = blurred(blurred(lacking));
    // Values at the end of the range cannot take their share of what is lacking, so that the others take more.
    const [down, up] = movable(sr, scale);
    for (let i = 0; i < lacking.values.length; i++) {
      lacking.values[i]! /= Math.max((lacking.values[i]! > 0 ? up : down)[i]!, 0.25);
    }
    const correction = enlarge(lacking, scale).values;
    for (let i = 0; i < values.length; i++) values[i]! += correction[i]!;
  }
  return sr;
}

/** The share of the values behind each of LR's that can still fall, and of those that can rise. */
function movable({ height, width, bands, values }: Picture, scale: number): [Float32Array, Float32Array] {
  const across = width / scale;
  const size = (height / scale) * across * bands;
  const down = new Float32Array(size).fill(1);
  const up = new Float32Array(size).fill(1);
  const share = 1 / scale ** 2;
  for (let y = 0, from = 0; y < height; y++) {
    const row = Math.floor(y / scale) * across;
    for (let x = 0; x < width; x++) {
      const at = (row + Math.floor(x / scale)) * bands;
      for (let band = 0; band < bands; band++, from++) {
        if (values[from]! <= -1) down[at + band]! -= share;
        else if (values[from]! >= 1) up[at + band]! -= share;
      }
    }
  }
  return [down, up];
}

/** The mean over BLUR x BLUR pixels; at the border of those that there are. */
function blurred(picture: Picture): Picture {
  const { height, width, bands } = picture;
  const line = width * bands;
  return averaged(averaged(picture, height, line, line), width, bands, bands);
}

/** The running mean along an axis of `size` pixels, `step` values apart. */
function averaged({ height, width, bands, values }: Picture, size: number, step: number, lanes: number): Picture {
  const result = new Float32Array(values.length);
  const half = BLUR >> 1;
  for (let block = 0; block < values.length; block += size * step) {
    for (let lane = 0; lane < lanes; lane++) {
      for (let i = 0; i < size; i++) {
        const [low, high] = [Math.max(i - half, 0), Math.min(i + half, size - 1)];
        let sum = 0;
        for (let k = low; k <= high; k++) sum += values[block + lane + k * step]!;
        result[block + lane + i * step] = sum / (high - low + 1);
      }
    }
  }
  return { height, width, bands, values: result };
}
