/** The library by itself: sources, options, aborts, memory. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { library, skip } from "./browser.js";
import { picture } from "./pictures.js";

const base64 = (png) => png.toString("base64");

test("takes each kind of source, and they agree", { skip }, async (t) => {
  const { page, close, server } = await library();
  t.after(close);
  const [sizes, same] = await page.evaluate(async () => {
    const sr = await srgan.load();
    const url = new URL("sample.png", location.href);
    const blob = await (await fetch(url)).blob();
    const image = Object.assign(new Image(), { src: url.href });
    await image.decode();
    const bitmap = await createImageBitmap(blob);
    const canvas = Object.assign(document.createElement("canvas"), { width: 224, height: 150 });
    canvas.getContext("2d").drawImage(image, 0, 0);
    const pixels = canvas.getContext("2d").getImageData(0, 0, 224, 150);
    const made = [];
    for (const source of [blob, url, url.href, image, bitmap, canvas, pixels]) made.push(await sr.upscale(source, { scale: 2 }));
    return [made.map(({ width, height }) => [width, height]), made.map(({ data }) => data.every((level, i) => level === made[0].data[i]))];
  });
  assert.deepEqual(sizes, Array(7).fill([448, 300]));
  assert.deepEqual(same, Array(7).fill(true));
  assert.ok(server.port);
});

test("JPEGs come out upright", { skip }, async (t) => {
  const { page, close } = await library();
  t.after(close);
  const size = await page.evaluate(async (png) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 30, height: 20 });
    canvas.getContext("2d").drawImage(await createImageBitmap(blobOf(png)), 0, 0);
    const jpeg = new Uint8Array(await (await new Promise((done) => canvas.toBlob(done, "image/jpeg"))).arrayBuffer());
    // APP1 with EXIF whose only entry is orientation 6, a quarter turn.
    const exif = [0xff, 0xe1, 0, 34, ...[..."Exif"].map((c) => c.charCodeAt(0)), 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
    const turned = new Blob([jpeg.slice(0, 2), new Uint8Array(exif), jpeg.slice(2)]);
    const { width, height } = await (await srgan.load()).upscale(turned);
    return [width, height];
  }, base64(picture(30, 20)));
  assert.deepEqual(size, [80, 120]);
});

test("an abort stops at once, and the next picture comes out as before", { skip }, async (t) => {
  const { page, close } = await library();
  t.after(close);
  const told = await page.evaluate(async ([large, small]) => {
    const sr = await srgan.load();
    const before = await sr.upscale(blobOf(small));
    const stop = new AbortController();
    const seen = [];
    let aborted;
    const error = await sr.upscale(blobOf(large), {
      signal: stop.signal,
      onProgress: ({ done, total, secondsLeft }) => {
        seen.push([done, total, secondsLeft > 0]);
        aborted = performance.now();
        stop.abort();
      },
    }).catch((error) => error.name);
    const waited = performance.now() - aborted;
    const after = await sr.upscale(blobOf(small), { signal: new AbortController().signal });
    const early = await sr.upscale(blobOf(small), { signal: stop.signal }).catch((error) => error.name);
    return { error, early, seen, waited, same: after.data.every((level, i) => level === before.data[i]) };
  }, [base64(picture(700, 700)), base64(picture(30, 30))]);
  assert.deepEqual([told.error, told.early, told.same], ["AbortError", "AbortError", true]);
  assert.ok(told.waited < 200, `${told.waited} ms`);
  assert.deepEqual(told.seen, [[1, told.seen[0][1], true]]);
});

test("wrong options, missing models and disposed ones are one line", { skip }, async (t) => {
  const { page, close } = await library();
  t.after(close);
  const said = await page.evaluate(async (png) => {
    const error = (promise) => promise.then(() => "nothing", ({ name, code, message }) => `${name} ${code}: ${message}`);
    const sr = await srgan.load();
    const said = [
      await error(srgan.load({ model: "nothing" })),
      await error(sr.upscale(blobOf(png), { scale: 5 })),
      await error(sr.upscale(blobOf(png), { tile: 8 })),
      await error(sr.upscale("nowhere.png")),
      await error(srgan.load({ device: "webgpu" })),
      await error(srgan.load({ base: "/elsewhere/" })),
    ];
    sr.dispose();
    return [...said, await error(sr.upscale(blobOf(png)))];
  }, base64(picture(20, 20)));
  const wanted = [
    /^UpscaleError no-model: The model "nothing" cannot be loaded: .*nothing.json \(404\)$/,
    /bad-option: scale must be a whole number from 1 to the model's 4, not 5/,
    /bad-option: tile must be at least 38 px/,
    /not-a-picture: nowhere.png cannot be fetched \(404\)/,
    /no-runtime: WebGPU does not run this model/,
    /crashed: The worker cannot be loaded/,
    /bad-option: This model was disposed of/,
  ];
  wanted.forEach((pattern, i) => assert.match(said[i], pattern));
});

test("a model that is not the one of its JSON is refused", { skip }, async (t) => {
  const { page, close } = await library();
  t.after(close);
  await page.context().route("**/compact.tflite", async (route) => {
    const response = await route.fetch();
    const body = Buffer.from(await response.body());
    body[5000] ^= 1;
    await route.fulfill({ response, body });
  });
  const said = await page.evaluate(() => srgan.load().then(() => "loaded", ({ message }) => message));
  assert.match(said, /compact.tflite and its JSON do not belong together/);
});

test("memory after ten pictures is no higher than after two", { skip }, async (t) => {
  const { page, browser, close } = await library({ flags: ["--js-flags=--expose-gc"] });
  t.after(close);
  // Resident, of the processes that run pages: the worker's and WASM's memory is in it.
  const used = async () => {
    await page.evaluate(() => gc());
    await page.waitForTimeout(500);
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const statuses = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => readFileSync(`/proc/${id}/status`, "utf8"));
    return statuses.reduce((sum, status) => sum + Number(status.match(/VmRSS:\s*(\d+)/)[1]) / 1e3, 0);
  };
  await page.evaluate(async () => void (window.sr = await srgan.load()));
  const upscale = () => page.evaluate(async (png) => void (await (await sr.upscale(blobOf(png))).toBlob()), base64(picture(500, 400)));
  const seen = [];
  for (let i = 1; i <= 10; i++) {
    await upscale();
    if (i === 2 || i === 10) seen.push(Math.round(await used()));
  }
  t.diagnostic(`${seen[0]} MB, then ${seen[1]} MB`);
  // Each result has 13 MB, each block some 100: what was kept would show.
  assert.ok(seen[1] < seen[0] + 60, `${seen}`);
});
