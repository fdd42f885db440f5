/**
 * Our models beside UpscalerJS's, in one Chromium, on the same pictures, in turns: node run.js (after `npm ci` here and
 * `npm run build` above; PYTHON as there). Prints a table: processor time of the whole browser for all pictures, scores
 * against the originals, and bytes.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { PNG } from "pngjs";
import { serve } from "../serve.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const OURS = ["compact", "srgan"];
const THEIRS = ["slim", "medium"];

const folder = mkdtempSync(join(tmpdir(), "srgan-benchmark-"));
const site = join(folder, "site");
const python = (...words) => execFileSync(process.env.PYTHON ?? "python3", [join(HERE, "score.py"), ...words], { cwd: dirname(dirname(HERE)), stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, PYTHONPATH: dirname(dirname(HERE)) } }).toString();
python("make", folder);
cpSync(join(HERE, "..", "dist"), site, { recursive: true });
cpSync(join(folder, "LR_x4"), join(site, "pictures"), { recursive: true });
mkdirSync(join(site, "tfjs"));
const wasm = join(MODULES, "@tensorflow", "tfjs-backend-wasm", "dist");
for (const file of readdirSync(wasm).filter((file) => file.endsWith(".wasm"))) cpSync(join(wasm, file), join(site, "tfjs", file));
for (const name of THEIRS) cpSync(join(MODULES, "@upscalerjs", `esrgan-${name}`, "models", "x4"), join(site, `esrgan-${name}`), { recursive: true });
await build({ entryPoints: [join(HERE, "upscalerjs.js")], bundle: true, minify: true, format: "iife", outfile: join(site, "upscalerjs.js"), logLevel: "error" });

const ours = `<script type="module">
  const { load } = await import("./srgan/index.js");
  window.peer = async (model) => {
    const sr = await load({ model, device: "wasm", threads: 1 });
    return async (url) => {
      const { width, height, data } = await sr.upscale(url);
      return { width, height, data, backend: sr.engine.device };
    };
  };
</script>`;
const theirs = `<script src="upscalerjs.js"></script>`;
const server = await serve(site, { pages: { "/ours.html": ours, "/theirs.html": theirs } });
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const session = await browser.newBrowserCDPSession();
const processorTime = async () => (await session.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);

const pictures = readdirSync(join(site, "pictures"));
const runs = [...OURS.map((name) => [name, "ours", name]), ...THEIRS.map((name) => [`esrgan-${name}`, "theirs", name])];
const pages = {};
for (const [run, kind, name] of runs) {
  const page = await (await browser.newContext({ serviceWorkers: "block" })).newPage();
  await page.goto(`http://127.0.0.1:${server.port}/${kind}.html`);
  await page.waitForFunction(() => window.peer);
  await page.evaluate(async (name) => void (window.upscale = await window.peer(name)), name);
  pages[run] = page;
}

const times = Object.fromEntries(runs.map(([run]) => [run, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [run] of runs) {
    let spent = 0;
    for (const file of pictures) {
      const before = await processorTime();
      const { width, height, backend } = await pages[run].evaluate(async (url) => (({ data, ...rest }) => ((window.made = data), rest))(await upscale(url)), `/pictures/${file}`);
      spent += (await processorTime()) - before;
      if (backend !== "wasm") throw new Error(`${run} runs on ${backend}`);
      if (round > 0) continue; // the first round compiles, and is kept as pictures instead
      const png = new PNG({ width, height });
      png.data = Buffer.from(await pages[run].evaluate(() => [...window.made]));
      mkdirSync(join(folder, run), { recursive: true });
      writeFileSync(join(folder, run, file), PNG.sync.write(png, { colorType: 2 }));
    }
    if (round > 0) times[run].push(1000 * spent);
  }
}
await browser.close();
server.close();

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const bytes = (paths) => paths.reduce(([raw, zipped], path) => [raw + statSync(path).size, zipped + gzipSync(readFileSync(path), { level: 9 }).length], [0, 0]);
const megabytes = ([raw, zipped]) => `${(raw / 1e6).toFixed(2)} (${(zipped / 1e6).toFixed(2)})`;
const parts = {
  ours: bytes(["index.js", "worker.js", "wasm/litert_wasm_internal.js", "wasm/litert_wasm_internal.wasm"].map((file) => join(site, "srgan", file))),
  theirs: bytes([join(site, "upscalerjs.js"), join(site, "tfjs", "tfjs-backend-wasm-simd.wasm")]),
};
const scores = JSON.parse(python("score", folder, runs.map(([run]) => run).join()));
console.log(`Median of ${ROUNDS} rounds in turns, ${pictures.length} pictures, WASM, one thread; MB as they are (by gzip).\n`);
console.log("| model | processor ms | PSNR (Y) | LPIPS-Alex | model, MB | runtime, MB |\n|---|--:|--:|--:|--:|--:|");
for (const [run, kind, name] of runs) {
  const model = kind === "ours" ? [join(site, "srgan", "models", `${name}.tflite`), join(site, "srgan", "models", `${name}.json`)] : readdirSync(join(site, run)).map((file) => join(site, run, file));
  const { psnr, lpips } = scores[run];
  console.log(`| ${kind === "ours" ? run : `UpscalerJS ${run}`} | ${Math.round(median(times[run]))} | ${psnr.toFixed(2)} | ${lpips.toFixed(3).slice(1)} | ${megabytes(bytes(model))} | ${megabytes(parts[kind])} |`);
}
