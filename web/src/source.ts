/** Whatever a page has of a picture → its pixels. */
import { UpscaleError } from "./errors.js";

export type Source = ImageBitmap | ImageData | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | Blob | URL | string;

/** RGBA, 0-255, not premultiplied; colours in sRGB, upright. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** Megapixels of a result that this device is trusted with: 4 bytes each, held whole, beside canvases of the page. */
export function largest(): number {
  // In GB, at most 8; only Chromium tells. Others get what phones can hold.
  const memory = (navigator as { deviceMemory?: number }).deviceMemory ?? 4;
  return 32 * memory;
}

/** The pixels of `source`, unless it would be too large when enlarged `scale` times. */
export async function pixelsOf(source: Source, scale: number): Promise<Pixels> {
  if (source instanceof ImageData) {
    check(source, scale);
    return { width: source.width, height: source.height, data: new Uint8ClampedArray(source.data) };
  }
  const picture = typeof source === "string" || source instanceof URL ? await fetched(source) : source;
  const bitmap = picture instanceof ImageBitmap ? picture : await decoded(picture);
  try {
    check(bitmap, scale);
    return read(bitmap);
  } finally {
    if (bitmap !== source) bitmap.close();
  }
}

async function fetched(url: string | URL): Promise<Blob> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) throw new UpscaleError("not-a-picture", `${url} cannot be fetched (${response?.status ?? "no answer"})`);
  return response.blob();
}

async function decoded(picture: Exclude<Source, ImageBitmap | ImageData | URL | string>): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(picture, { premultiplyAlpha: "none" });
  } catch {
    const name = picture instanceof File ? picture.name : "This";
    if (picture instanceof Blob && (await isHeic(picture))) {
      throw new UpscaleError("heic", `${name} is HEIC, which this browser cannot read: save it as JPEG first`);
    }
    throw new UpscaleError("not-a-picture", `${name} is damaged, or no picture that this browser can read`);
  }
}

async function isHeic(blob: Blob): Promise<boolean> {
  const head = String.fromCharCode(...new Uint8Array(await blob.slice(4, 12).arrayBuffer()));
  return /^ftyp(hei|hev|mif1|msf1)/.test(head);
}

function check({ width, height }: { width: number; height: number }, scale: number): void {
  const megapixels = (width * height * scale ** 2) / 1e6;
  if (megapixels <= largest()) return;
  const fits = [4, 3, 2].find((other) => other < scale && (width * height * other ** 2) / 1e6 <= largest());
  const mend = fits ? `choose ×${fits}` : "crop it first";
  throw new UpscaleError(
    "too-large",
    `${width} × ${height} px at ×${scale} make ${Math.round(megapixels)} megapixels, too many for this device's memory (at most ${largest()}): ${mend}`,
  );
}

function read(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap;
  const context = canvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  for (let i = 3; i < data.length; i += 4) {
    if (data[i] !== 255) return straight(bitmap) ?? { width, height, data };
  }
  return { width, height, data };
}

/** The same by WebGL: a 2D canvas premultiplies colours by alpha, so that dark and faint ones come back changed. */
function straight(bitmap: ImageBitmap): Pixels | undefined {
  const { width, height } = bitmap;
  const gl = canvas(1, 1).getContext("webgl2");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const data = new Uint8ClampedArray(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(data.buffer));
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? undefined : { width, height, data };
}

export function canvas(width: number, height: number): HTMLCanvasElement {
  return Object.assign(document.createElement("canvas"), { width, height });
}
