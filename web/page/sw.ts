/**
 * The service worker: the page works offline after the first visit, and has threads from the second on.
 *
 * Threads need COOP and COEP, headers that hosts such as GitHub Pages do not send: they are added here. All that the
 * page loads is of its own origin, so nothing is kept out by them.
 */
declare const BUILD: string;
const worker = self as unknown as ServiceWorkerGlobalScope & typeof globalThis;
const CACHE = `srgan-${BUILD}`;
const SHELL = ["./", "main.js", "style.css", "icon.svg", "sample.png", "srgan/index.js", "srgan/worker.js"];

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  const remove = async () => {
    for (const name of await caches.keys()) if (name.startsWith("srgan-") && name !== CACHE) await caches.delete(name);
    await worker.clients.claim();
  };
  event.waitUntil(remove());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === worker.location.origin) event.respondWith(answer(request));
});

/** From the cache, which has the models and LiteRT as soon as they were used once. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  if (kept) return isolated(kept);
  const response = await fetch(request);
  if (response.status === 200) await cache.put(request, response.clone());
  return isolated(response);
}

function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
