/** What `upscale` gives. */
import { UpscaleError } from "./errors.js";
import type { Tile } from "./picture.js";
import { png } from "./png.js";
import { canvas, type Pixels } from "./source.js";

export class Upscaled implements Pixels {
  /** RGBA, 0-255, not premultiplied, in sRGB. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;

  /** @internal */
  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(width * height * 4);
  }

  /** @internal */
  put({ x, y, width, height, data }: Tile): void {
    for (let row = 0; row < height; row++) {
      this.data.set(data.subarray(row * width * 4, (row + 1) * width * 4), ((y + row) * this.width + x) * 4);
    }
  }

  toImageData(): ImageData {
    return new ImageData(this.data, this.width, this.height);
  }

  /**
   * The picture as a file: PNG without loss, or what the browser's canvas encodes.
   *
   * @param type "image/png", "image/jpeg" (on white) or "image/webp".
   * @param quality in [0, 1], of the latter two.
   * @throws UpscaleError: this browser cannot encode it.
   */
  async toBlob(type = "image/png", quality = 0.95): Promise<Blob> {
    return type === "image/png" ? png(this) : encoded(await createImageBitmap(this.toImageData()), type, quality);
  }
}

/** A picture as the browser's canvas encodes it; see `Upscaled.toBlob`. Closes the bitmap. */
export async function encoded(picture: ImageBitmap, type: string, quality = 0.95): Promise<Blob> {
  const { width, height } = picture;
  const name = type.replace("image/", "").toUpperCase();
  const made = canvas(width, height);
  const context = made.getContext("2d");
  // Larger ones stay blank in some browsers, without an error.
  const possible = context && Math.max(width, height) <= 16383 && width * height <= 2 ** 28;
  if (!possible) throw new UpscaleError("format", `${width} × ${height} px are too many for ${name} here: take PNG`);
  if (type === "image/jpeg") {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(picture, 0, 0);
  picture.close();
  const blob = await new Promise<Blob | null>((resolve) => made.toBlob(resolve, type, quality));
  if (blob?.type !== type) throw new UpscaleError("format", `This browser cannot write ${name}: take PNG`);
  return blob;
}
