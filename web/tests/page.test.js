/** The page as people use it: pictures come in each way, are compared, cancelled, refused and saved. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { PNG } from "pngjs";
import { open, skip } from "./browser.js";
import { picture } from "./pictures.js";

const require = createRequire(import.meta.url);
const file = (name, buffer, mimeType = "image/png") => ({ name, mimeType, buffer });
const done = (page) => page.waitForSelector("#work[data-state=done]", { timeout: 60_000 });

/** Give files to the page by an event, as the clipboard or a drag does. */
const bring = (page, type, base64, name) =>
  page.evaluate(
    ([type, base64, name]) => {
      const data = new DataTransfer();
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      data.items.add(new File([bytes], name, { type: "image/png" }));
      const event = type === "paste" ? new ClipboardEvent(type, { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    },
    [type, base64.toString("base64"), name],
  );

test("choose, paste and drop; download", { skip }, async (t) => {
  const { page, close, errors } = await open();
  t.after(close);
  await page.setInputFiles("#files", file("chosen.png", picture(50, 40)));
  await done(page);
  assert.match(await page.textContent("#status"), /^50 × 40 → 200 × 160 px · Fast ×4/);
  await bring(page, "paste", picture(40, 30), "pasted.png");
  await page.waitForSelector('#items [aria-label="pasted.png, ready"]');
  await bring(page, "dragenter", picture(30, 30), "dropped.png");
  assert.ok(await page.isVisible("#curtain"));
  await bring(page, "drop", picture(30, 30), "dropped.png");
  assert.ok(!(await page.isVisible("#curtain")));
  await page.click('#items [aria-label="dropped.png, ready"]');
  await page.waitForFunction(() => document.getElementById("title").textContent === "dropped.png");

  const signatures = { PNG: [".png", "89504e47"], JPEG: [".jpg", "ffd8ff"], WebP: [".webp", "52494646"] };
  for (const [name, [ending, signature]] of Object.entries(signatures)) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`#save button:has-text("${name}")`)]);
    assert.equal(download.suggestedFilename(), `dropped_x4${ending}`);
    const content = readFileSync(await download.path());
    assert.ok(content.toString("hex").startsWith(signature), name);
    if (name === "PNG") assert.deepEqual([PNG.sync.read(content).width, PNG.sync.read(content).height], [120, 120]);
  }
  assert.deepEqual(errors, []);
});

test("the sample, model and scale; the divider by keys, mouse and touch; zoom", { skip }, async (t) => {
  const { page, close } = await open({ context: { hasTouch: true } });
  t.after(close);
  await page.click("#sample");
  await done(page);
  await page.check("input[value='2']", { force: true });
  await page.waitForFunction(() => /→ 448 × 300 px · Fast ×2/.test(document.getElementById("status").textContent));

  assert.deepEqual(await page.evaluate(() => [before, after].map(({ width, height }) => [width, height])), [[448, 300], [448, 300]]);

  const share = async () => Number(await page.getAttribute("#divider", "aria-valuenow"));
  await page.focus("#divider");
  for (const [key, wanted] of [["ArrowRight", 52], ["ArrowLeft", 50], ["Shift+ArrowLeft", 40], ["Home", 0], ["End", 100]]) {
    await page.keyboard.press(key);
    assert.equal(await share(), wanted, key);
  }
  const stage = await page.locator("#stage").boundingBox();
  const at = (x) => [stage.x + stage.width * x, stage.y + stage.height / 2];
  await page.mouse.move(...at(0.9));
  await page.mouse.down();
  await page.mouse.move(...at(0.3));
  await page.mouse.up();
  assert.equal(await share(), 30);
  const clip = await page.evaluate(() => document.getElementById("after").style.clipPath);
  const sheet = await page.locator("#sheet").boundingBox();
  assert.ok(Math.abs(Number(clip.match(/([\d.]+)px\)$/)[1]) - (stage.width * 0.3 - (sheet.x - stage.x))) < 2, clip);
  await page.touchscreen.tap(...at(0.7));
  assert.equal(await share(), 70);

  await page.click("#in");
  const larger = await page.locator("#sheet").boundingBox();
  assert.ok(Math.abs(larger.width / sheet.width - 1.5) < 0.01);
  await page.click("#in");
  await page.mouse.move(...at(0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.1));
  await page.mouse.up();
  assert.equal(await share(), 70, "away from the divider a drag moves the picture");
  await page.click("#fit");
  assert.equal((await page.locator("#sheet").boundingBox()).width, sheet.width);
});

test("expected seconds are those of the picture that is shown, not of the one in work", { skip }, async (t) => {
  const { page, close } = await open();
  t.after(close);
  const expected = async () => Number((await page.textContent("label:has(input[value=fast]) i")).match(/(\d+) s/)?.[1]);
  await page.setInputFiles("#files", [file("small.png", picture(200, 150)), file("large.png", picture(1600, 1200))]);
  await done(page);
  assert.ok((await expected()) >= 1);
  await page.waitForFunction(() => document.querySelector('#items [aria-label="large.png, being enlarged"]'));
  await page.waitForTimeout(3000);
  assert.equal(await page.textContent("#title"), "small.png");
  assert.ok((await expected()) < 10, "64 times as many pixels are in work");
});

test("cancel in the middle, and go on", { skip }, async (t) => {
  const { page, close, errors } = await open();
  t.after(close);
  await page.setInputFiles("#files", file("large.png", picture(900, 900)));
  await page.waitForFunction(() => document.getElementById("progress").value > 0);
  assert.match(await page.textContent("#status"), /% · .* left/);
  await page.click("#cancel");
  await page.waitForSelector("#work[data-state=cancelled]", { timeout: 1000 });
  await page.setInputFiles("#files", file("small.png", picture(20, 20)));
  await page.click('#items [aria-label^="small.png"]');
  await done(page);
  await page.click('#items [aria-label^="large.png"]');
  await page.click("#again");
  await page.waitForSelector("#work[data-state=running]");
  assert.deepEqual(errors, []);
});

test("what cannot be is said in a line", { skip }, async (t) => {
  const { page, close, errors } = await open();
  t.after(close);
  const says = async (given, wanted) => {
    await page.setInputFiles("#files", given);
    await page.waitForFunction((text) => document.getElementById("error").textContent.includes(text), wanted);
    assert.ok(await page.isVisible("#error"));
  };
  await says(file("broken.png", picture(40, 40).subarray(0, 60)), "broken.png is damaged, or no picture");
  await says(file("notes.txt", Buffer.from("no picture"), "text/plain"), "notes.txt is damaged, or no picture");
  const heic = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypheic"), Buffer.alloc(40)]);
  await says(file("phone.heic", heic, "image/heic"), "phone.heic is HEIC, which this browser cannot read: save it as JPEG");
  assert.ok(await page.isVisible("#welcome"), "none of them stays");
  const huge = PNG.sync.write(new PNG({ width: 8000, height: 5000, colorType: 0 }), { colorType: 0, filterType: 0 });
  await says(file("huge.png", huge), "8000 × 5000 px at ×4 make 640 megapixels");
  await page.setInputFiles("#files", file("pixel.png", picture(1, 1)));
  await page.click('#items [aria-label^="pixel.png"]');
  await page.waitForFunction(() => /^1 × 1 → 4 × 4 px/.test(document.getElementById("status").textContent));
  assert.deepEqual(errors, []);
});

test("offline after the first visit, and with threads; 3.5 MB until the first picture", { skip }, async (t) => {
  const { page, close, server } = await open();
  t.after(close);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await page.click("#sample");
  await done(page);

  const loaded = await page.evaluate(async () => {
    const cache = await caches.open((await caches.keys())[0]);
    return Promise.all((await cache.keys()).map(async ({ url }) => [url, [...new Uint8Array(await (await cache.match(url)).arrayBuffer())].length]));
  });
  assert.ok(loaded.some(([url]) => url.endsWith("litert_wasm_internal.wasm")) && loaded.some(([url]) => url.endsWith("fast.tflite")));
  let compressed = 0;
  for (const [url, length] of loaded) {
    const content = Buffer.from(await (await fetch(url)).arrayBuffer());
    assert.equal(content.length, length, url);
    compressed += gzipSync(content, { level: 9 }).length;
  }
  t.diagnostic(`${loaded.length} files, ${(compressed / 1e6).toFixed(2)} MB by gzip`);
  assert.ok(compressed < 3.5e6);

  server.close();
  await page.reload();
  assert.equal(await page.evaluate(() => crossOriginIsolated), true, "the service worker's headers");
  await page.setInputFiles("#files", file("offline.png", picture(30, 20)));
  await done(page);
  assert.match(await page.textContent("#status"), /→ 120 × 80 px/);
});

test("nothing goes to third parties, and no picture leaves", { skip }, async (t) => {
  const { page, close, server } = await open();
  t.after(close);
  const asked = [];
  page.context().on("request", (request) => asked.push([request.method(), request.url()]));
  await page.click("#sample");
  await done(page);
  assert.ok(asked.length > 3);
  const foreign = asked.filter(([method, url]) => method !== "GET" || !url.startsWith(`http://127.0.0.1:${server.port}/`));
  assert.deepEqual(foreign.filter(([, url]) => !/^(blob|data):/.test(url)), []);
});

for (const [name, context] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 360, height: 740 } }],
]) {
  test(`axe finds nothing serious, and nothing sticks out: ${name}`, { skip }, async (t) => {
    const { page, close } = await open({ context });
    t.after(close);
    const check = async (when) => {
      await page.addScriptTag({ path: require.resolve("axe-core") });
      const { violations } = await page.evaluate(() => axe.run());
      const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
      assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], when);
      const sticks = await page.evaluate(() => [...document.querySelectorAll("#bar *, header *, form *")].filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML));
      assert.deepEqual(sticks, [], when);
    };
    await check("before");
    await page.click("#sample");
    await done(page);
    await check("after");
  });
}
