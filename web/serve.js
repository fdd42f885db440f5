/** A static server, for `npm run dev` and the tests. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
  ".wasm": "application/wasm", ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg",
  ".webmanifest": "application/manifest+json",
};

/** `isolated`: with COOP and COEP, which let the page have threads; GitHub Pages sends none. `pages`: HTML by path. */
export async function serve(folder, { port = 0, isolated = false, pages = {} } = {}) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    const headers = { "content-type": TYPES[path in pages ? ".html" : extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" };
    if (isolated) Object.assign(headers, { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" });
    if (path in pages) return response.writeHead(200, headers).end(pages[path]);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    response.writeHead(200, headers);
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return { port: server.address().port, close: () => {
      server.closeAllConnections();
      server.close();
    } };
}
