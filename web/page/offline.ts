/** The service worker, from the page's side. */
const registered = navigator.serviceWorker?.register("sw.js").catch(() => undefined); // not on plain http

/** Resolves once the service worker sees what this page fetches, so that it keeps it; soon in any case. */
export async function controlled(): Promise<void> {
  if (!(await registered) || navigator.serviceWorker.controller) return;
  const claimed = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  await Promise.race([claimed, new Promise((resolve) => setTimeout(resolve, 3000))]);
}
