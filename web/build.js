/**
 * The page and the library → dist/, a folder that any host serves; with --serve, at http://localhost:5173 too.
 *
 * dist/srgan/ is the library: index.js, index.d.ts, worker.js, LiteRT's wasm/ and models/. The page is one user of it.
 * By esbuild rather than Vite: LiteRT.js needs a classic worker, which Vite makes in a build but not in its server.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { serve } from "./serve.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(HERE);
const DIST = join(HERE, "dist");
const MODELS = join(ROOT, "exported", "web");
const NAMES = (process.env.MODELS ?? "fast,compact,srresnet,srgan,srgan-real").split(",");

/** Whether a model is there, and not older than its weights. */
function made(name) {
  const [facts, weights] = [join(MODELS, `${name}.json`), join(ROOT, "srgan_tf", "pretrained", `${name}.npz`)];
  return existsSync(facts) && !(existsSync(weights) && statSync(weights).mtimeMs > statSync(facts).mtimeMs);
}

/** Models are made by the exporter; they are not in the repository. */
function exportMissing() {
  for (const name of NAMES.filter((name) => !made(name))) {
    const python = process.env.PYTHON ?? "python3";
    const words = ["export.py", `--weights=${name}`, "--kinds=web", "--output=exported"];
    console.log(`${python} ${words.join(" ")}`);
    try {
      execFileSync(python, words, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
    } catch {
      console.error(`The model "${name}" could not be made, for the reason above; PYTHON must name a Python with srgan_tf's requirements (pip install -r requirements.txt)`);
      process.exit(1);
    }
  }
}

function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** The page takes the built library, as any other page would. */
const library = {
  name: "library",
  setup: ({ onResolve }) => onResolve({ filter: /src\/index\.js$/ }, () => ({ path: "./srgan/index.js", external: true })),
};

async function all() {
  exportMissing();
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(join(DIST, "srgan", "models"), { recursive: true });
  for (const name of NAMES) {
    for (const file of [`${name}.json`, `${name}.tflite`]) cpSync(join(MODELS, file), join(DIST, "srgan", "models", file));
  }
  const wasm = join(HERE, "node_modules", "@litertjs", "core", "wasm");
  const used = /^litert_wasm_(compat_|threaded_)?internal\.(js|wasm)$/; // JSPI is for models that WebGPU runs in part
  for (const file of readdirSync(wasm).filter((file) => used.test(file))) cpSync(join(wasm, file), join(DIST, "srgan", "wasm", file));
  cpSync(join(HERE, "page", "static"), DIST, { recursive: true });

  const shared = { bundle: true, minify: true, target: "es2022", logLevel: "warning", legalComments: "linked" };
  const facts = NAMES.map((name) => JSON.parse(readFileSync(join(MODELS, `${name}.json`))));
  const models = JSON.stringify(facts.map(({ name, bytes, scale }) => ({ name, bytes, scale })));
  await build({ ...shared, format: "esm", entryPoints: [join(HERE, "src", "index.ts")], outdir: join(DIST, "srgan") });
  await build({ ...shared, format: "iife", entryPoints: [join(HERE, "src", "worker.ts")], outdir: join(DIST, "srgan") });
  await build({
    ...shared, format: "esm", entryPoints: [join(HERE, "page", "main.ts"), join(HERE, "page", "style.css")], outdir: DIST,
    define: { MODELS: models }, plugins: [library],
  });
  const tsc = join(HERE, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", join(HERE, "tsconfig.lib.json"), "--outDir", join(DIST, "srgan")], { stdio: "inherit" });
  await serviceWorker(shared);
}

/** The service worker knows the shell's files, and has another cache for each build. */
async function serviceWorker(shared) {
  const hash = createHash("sha256");
  for (const file of files(DIST)) hash.update(file).update(readFileSync(join(DIST, file)));
  await build({
    ...shared, format: "iife", entryPoints: [join(HERE, "page", "sw.ts")], outdir: DIST,
    define: { BUILD: JSON.stringify(hash.digest("hex").slice(0, 12)) },
  });
}

await all();
const bytes = files(DIST).reduce((sum, file) => sum + readFileSync(join(DIST, file)).length, 0);
console.log(`dist/: ${files(DIST).length} files, ${(bytes / 1e6).toFixed(1)} MB`);
if (process.argv.includes("--serve")) console.log(`http://localhost:${(await serve(DIST, { port: 5173 })).port}`);
