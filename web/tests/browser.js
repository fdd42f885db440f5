/** Debian's Chromium, headless, by playwright-core; and why it cannot be had, where it cannot. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "../serve.js";

export const WEB = dirname(dirname(fileURLToPath(import.meta.url)));
export const DIST = join(WEB, "dist");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** For `test(…, { skip })`. */
export const skip = existsSync(CHROMIUM) ? false : `no ${CHROMIUM}: apt-get install chromium, or set CHROMIUM`;

const QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
// By SwiftShader: slow, but the same shaders as on a graphics processor.
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--use-vulkan=swiftshader"];

const LIBRARY = `<!doctype html><title>srgan</title><script type="module">
  window.srgan = await import("./srgan/index.js");
  window.blobOf = (base64) => new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]);
  window.base64 = async (blob) => new Promise((done) => {
    const reader = Object.assign(new FileReader(), { onload: () => done(reader.result.split(",")[1]) });
    reader.readAsDataURL(blob);
  });
</script>`;

/**
 * A page of dist/ in a browser of its own.
 *
 * @param options.isolated whether the server sends COOP and COEP.
 * @param options.path of the page; "/library.html" has the library alone, as `srgan`.
 * @param options.context of the browser's context: colour scheme, size, …
 */
export async function open({ isolated = false, webgpu = false, path = "/", context = {}, flags = [] } = {}) {
  const server = await serve(DIST, { isolated, pages: { "/library.html": LIBRARY } });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...QUIET, ...flags, ...(webgpu ? WEBGPU : [])] });
  const page = await (await browser.newContext({ serviceWorkers: path === "/" ? "allow" : "block", ...context })).newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  const close = async () => {
    await browser.close();
    server.close();
  };
  try {
    await page.goto(`http://127.0.0.1:${server.port}${path}`);
    if (path !== "/") await page.waitForFunction(() => window.srgan);
  } catch (error) {
    await close();
    throw error;
  }
  return { page, browser, server, errors, close };
}

/** That page, which needs no service worker. */
export const library = (options = {}) => open({ ...options, path: "/library.html" });
