/** The browser's PNG is upscale.py's, for every model, on each thing that it can run on. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DIST, library, skip } from "./browser.js";
import { apart, picture, references } from "./pictures.js";

const MODELS = readdirSync(join(DIST, "srgan", "models")).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5));
const TILE = 56; // so that small pictures have seams

/** Three pictures: several tiles, with alpha, grey. */
const pictures = (width, height) => [picture(width, height), picture(40, 37, { colorType: 6 }), picture(37, 40, { colorType: 0 })];

async function enlarged(page, pngs, options) {
  const made = await page.evaluate(
    async ({ pngs, options: { model, device, threads, ...options } }) => {
      const sr = await srgan.load({ model, device, threads });
      const made = [];
      for (const png of pngs) made.push(await base64(await (await sr.upscale(blobOf(png), options)).toBlob()));
      const { engine } = sr;
      sr.dispose();
      return { made, engine };
    },
    { pngs: pngs.map((png) => png.toString("base64")), options },
  );
  return { ...made, made: made.made.map((one) => Buffer.from(one, "base64")) };
}

const known = new Map();
function wanted(model, scale, width, height) {
  const key = [model, scale, width, height].join();
  if (!known.has(key)) {
    const pngs = pictures(width, height);
    known.set(key, { pngs, references: references(pngs, model, scale) });
  }
  return known.get(key);
}

// Weights of one architecture run alike: all of them in one run, one per architecture in the others.
const KINDS = ["compact", "srgan"];
const RUNS = [
  ["WASM, one thread", { isolated: true }, { device: "wasm", threads: 1 }, { device: "wasm", threads: 1 }],
  ["WASM, two threads", { isolated: true }, { device: "wasm", threads: 2 }, { device: "wasm", threads: 2 }],
  ["WASM, not isolated", {}, { device: "auto" }, { device: "wasm", threads: 1 }],
];

for (const [name, browser, options, engine] of RUNS) {
  test(name, { skip }, async (t) => {
    const { page, close, errors } = await library(browser);
    t.after(close);
    for (const model of options.threads === 2 ? MODELS : KINDS) {
      await t.test(model, async () => {
        const { pngs, references } = wanted(model, 4, 104, 72);
        const { made, engine: used } = await enlarged(page, pngs, { model, tile: TILE, ...options });
        assert.deepEqual(used, engine);
        made.forEach((one, i) => assert.equal(apart(one, references[i]).over, 0, `picture ${i}`));
      });
    }
    assert.deepEqual(errors, []);
  });
}

test("a picture of several blocks, at ×4, ×3 and ×2", { skip }, async (t) => {
  const { page, close } = await library();
  t.after(close);
  for (const scale of [4, 3, 2]) {
    const pngs = [picture(450, 290)];
    const { made } = await enlarged(page, pngs, { model: "compact", scale });
    assert.equal(apart(made[0], references(pngs, "compact", scale)[0]).over, 0, `×${scale}`);
  }
});

test("WebGPU, by software", { skip }, async (t) => {
  const { page, close } = await library({ webgpu: true });
  t.after(close);
  if (!(await page.evaluate(async () => !!(await navigator.gpu?.requestAdapter())))) return t.skip("this Chromium has no WebGPU adapter");
  for (const model of MODELS) {
    await t.test(model, async () => {
      // Of the large ones a tile of 128 px takes minutes so; this is the size that they are warmed up with.
      const pngs = model === "compact" ? pictures(80, 56) : [picture(16, 16)];
      const { made, engine } = await enlarged(page, pngs, { model, device: "webgpu", tile: TILE });
      assert.equal(engine.device, "webgpu");
      references(pngs, model, 4).forEach((reference, i) => assert.equal(apart(made[i], reference).over, 0, `picture ${i}`));
    });
  }
});
