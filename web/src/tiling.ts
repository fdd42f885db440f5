/** Large pictures tile by tile; srgan_tf/inference/tiling.py in TypeScript. */

/** A tile along one axis: it sees the pixels start to stop, and answers for those from first to last. */
export interface Span {
  start: number;
  stop: number;
  first: number;
  last: number;
}

/**
 * Tiles of one common length, at most `window` (that very length unless `shrink`), that cover `size` pixels.
 *
 * No tile reaches beyond the picture: the network pads with zeros at every layer there, and has to see the very border
 * to do the same in a tile. Elsewhere each tile sees `context` pixels more than it answers for.
 */
export function spans(size: number, window: number, context: number, shrink = true): Span[] {
  if (size <= window) return [{ start: 0, stop: size, first: 0, last: size }];
  const count = Math.ceil((size - 2 * context) / (window - 2 * context));
  const step = shrink ? Math.ceil((size - 2 * context) / count) : window - 2 * context;
  const length = step + 2 * context;
  const starts = Array.from({ length: count }, (_, i) => Math.min(i * step, size - length));
  const cuts = [0, ...starts.slice(0, -1).map((start) => start + context + step), size];
  return starts.map((start, i) => ({ start, stop: start + length, first: cuts[i]!, last: cuts[i + 1]! }));
}

/** A picture of floats or levels: [height, width, bands], row by row. */
export interface Picture<T extends Float32Array | Uint8ClampedArray = Float32Array> {
  height: number;
  width: number;
  bands: number;
  values: T;
}

/** The rectangle of a picture from (top, left), of this size. */
export function cut(from: Picture, top: number, left: number, height: number, width: number): Picture {
  const { bands, values } = from;
  const result = new Float32Array(height * width * bands);
  for (let y = 0; y < height; y++) {
    const at = ((top + y) * from.width + left) * bands;
    result.set(values.subarray(at, at + width * bands), y * width * bands);
  }
  return { height, width, bands, values: result };
}

/** Put the rectangle of `from` at (top, left), of this size, into `into` at (y, x). */
export function paste(
  from: Picture, top: number, left: number, height: number, width: number, into: Picture, y: number, x: number,
): void {
  for (let row = 0; row < height; row++) {
    const at = ((top + row) * from.width + left) * from.bands;
    const line = from.values.subarray(at, at + width * from.bands);
    into.values.set(line, ((y + row) * into.width + x) * into.bands);
  }
}

/** The picture grown to this size by its last row and column. */
export function grown(from: Picture, height: number, width: number): Picture {
  if (height === from.height && width === from.width) return from;
  const { bands } = from;
  const result = new Float32Array(height * width * bands);
  for (let y = 0; y < height; y++) {
    const row = Math.min(y, from.height - 1) * from.width;
    for (let x = 0; x < width; x++) {
      const at = (row + Math.min(x, from.width - 1)) * bands;
      for (let band = 0; band < bands; band++) result[(y * width + x) * bands + band] = from.values[at + band]!;
    }
  }
  return { height, width, bands, values: result };
}
