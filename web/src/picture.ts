/** A picture through a model, block by block; srgan_tf/inference/upscaling.py in TypeScript. */
import { backProject, type BackProjection, reach } from "./back_projection.js";
import { enlarge, shrink } from "./bicubic.js";
import type { ModelFacts } from "./model.js";
import { fillTransparent } from "./transparent.js";
import { cut, paste, type Picture, spans } from "./tiling.js";

/** SR px a side of the blocks that are back-projected and rounded at once: some 100 MB while in work. */
const BLOCK = 1536;

export interface Job {
  /** RGBA, 0-255, not premultiplied. */
  pixels: Uint8ClampedArray;
  width: number;
  height: number;
  scale: number;
  backProjection: BackProjection | "auto";
  /** LR px a side of what the network sees at once, at most; the model's own by default. */
  tile?: number;
  /** Whether tiles bring the picture's bicubic enlargement too. */
  bicubic: boolean;
}

/** A part of the result, from (x, y) in SR pixels. */
export interface Tile {
  x: number;
  y: number;
  width: number;
  height: number;
  /** RGBA, 0-255, not premultiplied. */
  data: Uint8ClampedArray<ArrayBuffer>;
  /** Before back-projection: soon replaced. */
  draft: boolean;
  /** The same part by bicubic interpolation, if it was asked for; not of drafts. */
  bicubic?: Uint8ClampedArray<ArrayBuffer>;
}

/** What the network is for these functions: LR RGB in [0, 1] → SR RGB in [0, 1]. */
export interface Runs {
  facts: ModelFacts;
  run(lr: Picture): Promise<Picture>;
}

interface Step {
  tile: Tile;
  /** Runs of the network: done, and in all. */
  done: number;
  total: number;
}

export async function* upscaled(network: Runs, job: Job): AsyncGenerator<Step> {
  const { facts } = network;
  const suited = { bicubic: "full", shrunk: "full", real: "colour", unknown: "none" } as const;
  const kind = job.backProjection === "auto" ? suited[facts.degradation] : job.backProjection;
  const context = facts.overlap + reach(kind) + (job.scale < facts.scale ? 2 : 0);
  const window = Math.max(Math.floor(BLOCK / facts.scale), 2 * context + 64);
  const tile = Math.max(job.tile ?? facts.tile, 2 * facts.overlap + 16);
  const inner = (size: number) => spans(size, tile, facts.overlap);
  const rows = spans(job.height, window, context);
  const columns = spans(job.width, window, context);
  const [tall, wide] = [rows, columns].map(([span]) => inner(span!.stop - span!.start).length) as [number, number];
  const total = rows.length * columns.length * tall * wide;
  fillTransparent(job.pixels, job.width, job.height);
  const bands = bandsOf(job.pixels);
  let done = 0;
  for (const down of rows) {
    for (const across of columns) {
      const [height, width] = [down.stop - down.start, across.stop - across.start];
      const lr = colours(job, down.start, across.start, height, width, bands.grey);
      const sr: Picture = blank(height * facts.scale, width * facts.scale, 3);
      for (const y of inner(height)) {
        for (const x of inner(width)) {
          const made = await network.run(cut(lr, y.start, x.start, y.stop - y.start, x.stop - x.start));
          const part = scaled([y.first - y.start, x.first - x.start, y.last - y.first, x.last - x.first], facts.scale);
          paste(made, ...part, sr, y.first * facts.scale, x.first * facts.scale);
          // Of what the block answers for.
          const [top, bottom] = [Math.max(y.first, down.first - down.start), Math.min(y.last, down.last - down.start)];
          const [left, right] = [Math.max(x.first, across.first - across.start), Math.min(x.last, across.last - across.start)];
          done++;
          if (top >= bottom || left >= right) continue;
          const seen = cut(made, ...scaled([top - y.start, left - x.start, bottom - top, right - left], facts.scale));
          const draft = job.scale < facts.scale ? shrink(seen, job.scale, facts.scale) : seen;
          const at = { x: (across.start + left) * job.scale, y: (down.start + top) * job.scale, draft: true };
          yield { tile: { ...at, width: draft.width, height: draft.height, data: levels(draft, 0, 1, bands.grey) }, done, total };
        }
      }
      const whole = finished(sr, lr, job, facts.scale, kind);
      const box = [down.first - down.start, across.first - across.start, down.last - down.first, across.last - across.first] as const;
      const place = { x: across.first * job.scale, y: down.first * job.scale, draft: false };
      const answer = cut(whole, ...scaled([...box], job.scale));
      const data = levels(answer, -1, 1, bands.grey);
      const one: Tile = { ...place, width: answer.width, height: answer.height, data };
      if (job.bicubic) one.bicubic = levels(cut(enlarge(lr, job.scale), ...scaled([...box], job.scale)), 0, 1);
      if (bands.alpha) {
        // Bicubic: a model of photographs would make up texture in what has to stay wholly opaque.
        const alpha = enlarge(alphas(job, down.start, across.start, height, width), job.scale);
        const levelsOf = cut(alpha, ...scaled([...box], job.scale)).values;
        for (const pixels of [one.data, one.bicubic]) {
          if (pixels) for (let i = 0; i < levelsOf.length; i++) pixels[4 * i + 3] = Math.floor(clamp(levelsOf[i]!, 0, 1) * 255 + 0.5);
        }
      }
      yield { tile: one, done, total };
    }
  }
}

/** SR in [0, 1] as the network gave it → SR in [-1, 1], corrected and of the scale that was asked for. */
function finished(sr: Picture, lr: Picture, job: Job, own: number, kind: BackProjection): Picture {
  for (let i = 0; i < sr.values.length; i++) sr.values[i] = sr.values[i]! * 2 - 1;
  if (kind !== "none") backProject(sr, lr, own, kind);
  return job.scale < own ? shrink(sr, job.scale, own) : sr;
}

const blank = (height: number, width: number, bands: number): Picture => ({
  height,
  width,
  bands,
  values: new Float32Array(height * width * bands),
});

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

const scaled = (box: [number, number, number, number], by: number) => box.map((n) => n * by) as [number, number, number, number];

/** Grey has to stay free of tint; alpha costs time. */
function bandsOf(pixels: Uint8ClampedArray): { grey: boolean; alpha: boolean } {
  let [grey, alpha] = [true, false];
  for (let i = 0; i < pixels.length && (grey || !alpha); i += 4) {
    if (pixels[i] !== pixels[i + 1] || pixels[i] !== pixels[i + 2]) grey = false;
    if (pixels[i + 3] !== 255) alpha = true;
  }
  return { grey, alpha };
}

/** RGB in [0, 1] of a part of the picture. */
function colours({ pixels, width: line }: Job, top: number, left: number, height: number, width: number, grey: boolean): Picture {
  const result = blank(height, width, 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let from = ((top + y) * line + left) * 4, end = from + 4 * width; from < end; from += 4, to += 3) {
      for (let band = 0; band < 3; band++) result.values[to + band] = pixels[from + (grey ? 2 : band)]! / 255;
    }
  }
  return result;
}

/** Alpha in [0, 1] of a part of the picture. */
function alphas({ pixels, width: line }: Job, top: number, left: number, height: number, width: number): Picture {
  const result = blank(height, width, 1);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) result.values[to++] = pixels[((top + y) * line + left + x) * 4 + 3]! / 255;
  }
  return result;
}

/** Values in [low, high] → opaque RGBA, 0-255, rounded half up; `grey`: of their luma. */
function levels({ values }: Picture, low: number, high: number, grey = false): Uint8ClampedArray<ArrayBuffer> {
  const result = new Uint8ClampedArray((values.length / 3) * 4);
  const level = (x: number) => Math.floor(clamp((x - low) / (high - low), 0, 1) * 255 + 0.5);
  for (let from = 0, to = 0; from < values.length; from += 3, to += 4) {
    const [r, g, b] = [values[from]!, values[from + 1]!, values[from + 2]!];
    if (grey) result[to] = result[to + 1] = result[to + 2] = level(0.299 * r + 0.587 * g + 0.114 * b);
    else {
      result[to] = level(r);
      result[to + 1] = level(g);
      result[to + 2] = level(b);
    }
    result[to + 3] = 255;
  }
  return result;
}
