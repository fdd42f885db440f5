/** The worker: a classic script, for LiteRT.js loads itself by `importScripts`. Stopped by `terminate()`. */
import { UpscaleError } from "./errors.js";
import { fetchModel } from "./model.js";
import { upscaled } from "./picture.js";
import type { Reply, Request } from "./protocol.js";
import { Network } from "./runtime.js";

let network: Network;

function reply(message: Reply): void {
  const tile = message.type === "tile" ? [message.tile.data, message.tile.bicubic] : [];
  postMessage(message, { transfer: tile.flatMap((pixels) => (pixels ? [pixels.buffer] : [])) });
}

async function answer(request: Request): Promise<void> {
  if (request.type === "load") {
    const model = await fetchModel(`${request.base}models/`, request.model);
    network = await Network.open(model, `${request.base}wasm/`, request.device, request.threads);
    if (network.engine.device === "wasm") await network.warmUp();
    reply({ type: "ready", facts: network.facts, engine: network.engine });
  } else {
    for await (const step of upscaled(network, request.job)) reply({ type: "tile", ...step });
    reply({ type: "done" });
  }
}

self.onmessage = (event: MessageEvent<Request>) => {
  answer(event.data).catch((error: Error) => {
    const memory = error instanceof RangeError || /memory|allocat|out of bounds/i.test(error.message);
    const known = error instanceof UpscaleError ? error : new UpscaleError(
      memory ? "too-large" : "crashed",
      memory ? "This device's memory does not suffice for the picture: choose a smaller scale, or close other tabs" : error.message,
    );
    reply({ type: "error", code: known.code, message: known.message });
  });
};
