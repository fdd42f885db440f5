/** The pictures of the tests, cut from the page's sample; and what upscale.py makes of them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { PNG } from "pngjs";
import { WEB } from "./browser.js";

const sample = PNG.sync.read(readFileSync(join(WEB, "page", "static", "sample.png")));

/** A PNG of this size, the sample mirrored as often as it takes; colour type 0: grey, 2: RGB, 6: with alpha. */
export function picture(width, height, { colorType = 2, left = 60, top = 10 } = {}) {
  const png = new PNG({ width, height, colorType });
  const mirrored = (at, size) => Math.min(at % (2 * size), 2 * size - 1 - (at % (2 * size)));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (mirrored(y + top, sample.height) * sample.width + mirrored(x + left, sample.width));
      const to = 4 * (y * width + x);
      for (let band = 0; band < 3; band++) png.data[to + band] = sample.data[from + (colorType === 0 ? 1 : band)];
      // From wholly clear to opaque: faint pixels keep their colours only where nothing premultiplies them.
      png.data[to + 3] = colorType === 6 ? Math.min(255, Math.max(0, Math.round((x / width) * 400 - 60))) : 255;
    }
  }
  return PNG.sync.write(png, { colorType });
}

/** What upscale.py makes of PNG files with this model, at float32, with the back-projection that the library takes for it. */
export function references(pngs, model, scale) {
  const folder = mkdtempSync(join(tmpdir(), "srgan-web-"));
  const paths = pngs.map((png, i) => {
    writeFileSync(join(folder, `${i}.png`), png);
    return join(folder, `${i}.png`);
  });
  const kind = model === "srgan-real" ? "colour" : "full"; // by the model; upscale.py's own choice is by the picture
  const flags = [`--weights=${model}`, "--precision=float32", `--back_projection=${kind}`, `--scale=${scale}`];
  const words = ["upscale.py", ...paths, ...flags, `--output=${folder}/made`];
  execFileSync(process.env.PYTHON ?? "python3", words, { cwd: dirname(WEB), stdio: ["ignore", "ignore", "pipe"] });
  return paths.map((path) => readFileSync(join(folder, "made", basename(path, ".png") + `_x${scale}.png`)));
}

/** The largest difference of two PNG files' values, and how many differ by more than 1. */
export function apart(one, other) {
  const [a, b] = [one, other].map((file) => PNG.sync.read(file));
  if (a.width !== b.width || a.height !== b.height) return { largest: Infinity, over: Infinity };
  let [largest, over] = [0, 0];
  for (let i = 0; i < a.data.length; i++) {
    const difference = Math.abs(a.data[i] - b.data[i]);
    largest = Math.max(largest, difference);
    if (difference > 1) over++;
  }
  return { largest, over };
}
