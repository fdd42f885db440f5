/** PNG without a canvas: of any size, and with the colours under faint alpha as they are. */
import type { Pixels } from "./source.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const PAETH = 4; // the filter for photographs
const ROWS = 64; // filtered at once, between which the page breathes

export async function png(picture: Pixels): Promise<Blob> {
  const { width, height, data } = picture;
  const alpha = data.some((level, i) => i % 4 === 3 && level !== 255);
  const grey = !data.some((level, i) => i % 4 === 1 && (level !== data[i - 1] || level !== data[i + 1]));
  const bands = [...(grey ? [0] : [0, 1, 2]), ...(alpha ? [3] : [])];

  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits
  header.setUint8(9, (grey ? 0 : 2) + (alpha ? 4 : 0));
  const body = await compressed(filtered(data, width, height, bands));
  const parts = [new Uint8Array(SIGNATURE), ...chunk("IHDR", new Uint8Array(header.buffer))];
  parts.push(...chunk("sRGB", new Uint8Array(1)), ...chunk("IDAT", body), ...chunk("IEND", new Uint8Array()));
  return new Blob(parts, { type: "image/png" });
}

function* filtered(data: Uint8ClampedArray, width: number, height: number, bands: number[]): Generator<Uint8Array<ArrayBuffer>> {
  const line = width * bands.length;
  let above = new Uint8Array(line);
  for (let top = 0; top < height; top += ROWS) {
    const rows = Math.min(ROWS, height - top);
    const block = new Uint8Array(rows * (line + 1));
    for (let y = 0; y < rows; y++) {
      const row = new Uint8Array(line);
      for (let x = 0, to = 0, from = (top + y) * width * 4; x < width; x++, from += 4) {
        for (const band of bands) row[to++] = data[from + band]!;
      }
      const start = y * (line + 1);
      block[start] = PAETH;
      for (let i = 0; i < line; i++) {
        const left = i < bands.length ? 0 : row[i - bands.length]!;
        const corner = i < bands.length ? 0 : above[i - bands.length]!;
        block[start + 1 + i] = row[i]! - paeth(left, above[i]!, corner);
      }
      above = row;
    }
    yield block;
  }
}

function paeth(left: number, above: number, corner: number): number {
  const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

async function compressed(blocks: Iterable<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new CompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = (async () => {
    for (const block of blocks) {
      await writer.ready;
      await writer.write(block);
    }
    await writer.close();
  })();
  const [buffer] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(buffer);
}

function chunk(name: string, content: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, content.length);
  for (let i = 0; i < 4; i++) head[4 + i] = name.charCodeAt(i);
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, crc(content, crc(head.subarray(4))) ^ -1);
  return [head, content, sum];
}

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc(bytes: Uint8Array, sum = -1): number {
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255]! ^ (sum >>> 8);
  return sum;
}
