/**
 * Super-resolution in the browser, with srgan_tf's models and LiteRT.js.
 *
 *     import { load } from "./srgan/index.js";
 *     const sr = await load({ model: "compact" });
 *     const result = await sr.upscale(file, { onProgress: ({ done, total }) => console.log(done / total) });
 *     link.href = URL.createObjectURL(await result.toBlob());
 *     sr.dispose();
 */
import type { BackProjection } from "./back_projection.js";
import { aborted, UpscaleError } from "./errors.js";
import type { ModelFacts } from "./model.js";
import type { Job, Tile } from "./picture.js";
import type { Reply, Request } from "./protocol.js";
import { Upscaled } from "./result.js";
import type { Device, Engine } from "./runtime.js";
import { pixelsOf, type Source } from "./source.js";

export { UpscaleError } from "./errors.js";
export { encoded, Upscaled } from "./result.js";
export type { BackProjection, Device, Engine, ModelFacts, Source, Tile };

export interface LoadOptions {
  /** A model's name in the folder `models/` beside this file: "compact" by default. */
  model?: string;
  /** "auto" takes WebGPU where a graphics processor runs the whole model, else WASM. */
  device?: Device | "auto";
  /** At most so many of WASM; all processors by default. One, unless the page is cross-origin isolated. */
  threads?: number;
  /** The folder with worker.js, wasm/ and models/, where it is not this file's. */
  base?: string | URL;
  signal?: AbortSignal;
}

export interface UpscaleOptions {
  /** A whole factor, up to the model's own, which is the default. Less is reached by shrinking its result. */
  scale?: number;
  /** "auto": "colour" for models trained on degraded pictures, which keeps noise away, "full" for others. */
  backProjection?: BackProjection | "auto";
  /** LR pixels a side of what the network sees at once; less takes less memory. */
  tile?: number;
  /** Whether `onTile` gets the picture's bicubic enlargement too. */
  bicubic?: boolean;
  /** Stops at once: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
  /** Called with each part as it is done, first as a draft. */
  onTile?(tile: Tile, size: { width: number; height: number }): void;
}

export interface Progress {
  /** Runs of the network. */
  done: number;
  total: number;
  /** By the time that those before took. */
  secondsLeft: number;
}

/**
 * Load a model, and warm it up.
 *
 * @throws UpscaleError: no such model, or LiteRT does not run in this browser.
 */
export async function load(options: LoadOptions = {}): Promise<SuperResolution> {
  const sr = new SuperResolution(options);
  await sr.ready(options.signal);
  return sr;
}

/** A model in a worker of its own. Pictures wait for each other. */
export class SuperResolution {
  /** What the model's JSON says. */
  facts!: ModelFacts;
  /** What it runs on. */
  engine!: Engine;

  private worker?: Worker;
  private started?: Promise<void>;
  private queue: Promise<unknown> = Promise.resolve();
  private disposed = false;

  /** @internal */
  constructor(private readonly options: LoadOptions) {}

  /** Upscale one picture: colours come out in sRGB, upright, with alpha (bicubic), in 8 bits.
   *
   * @throws UpscaleError: no picture, too large, or an option out of range. The signal's reason, once it is aborted.
   */
  upscale(source: Source, options: UpscaleOptions = {}): Promise<Upscaled> {
    const result = this.queue.then(() => this.upscaleNow(source, options));
    this.queue = result.catch(() => {});
    return result;
  }

  /** Stop the worker and free all memory. What is in work rejects. */
  dispose(): void {
    this.disposed = true;
    this.stop();
  }

  /** @internal Start the worker, unless it runs: after an abort it is gone. */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.disposed) throw new UpscaleError("bad-option", "This model was disposed of: load it again");
    this.started ??= (async () => {
      const base = new URL(this.options.base ?? ".", this.options.base ? document.baseURI : import.meta.url).href;
      this.worker = new Worker(`${base}worker.js`);
      const { model = "compact", device = "auto", threads = navigator.hardwareConcurrency } = this.options;
      await this.ask({ type: "load", base, model, device, threads }, signal, (reply) => {
        if (reply.type !== "ready") return false;
        this.facts = reply.facts;
        this.engine = reply.engine;
        return true;
      });
    })();
    await this.started.catch((error) => {
      this.stop();
      throw error;
    });
  }

  private async upscaleNow(source: Source, options: UpscaleOptions): Promise<Upscaled> {
    const { signal, backProjection = "auto", bicubic = false, tile, onProgress, onTile } = options;
    signal?.throwIfAborted();
    await this.ready(signal);
    const scale = options.scale ?? this.facts.scale;
    if (!Number.isInteger(scale) || scale < 1 || scale > this.facts.scale) {
      throw new UpscaleError("bad-option", `scale must be a whole number from 1 to the model's ${this.facts.scale}, not ${scale}`);
    }
    if (tile !== undefined && !(tile >= 2 * this.facts.overlap + 16)) {
      throw new UpscaleError("bad-option", `tile must be at least ${2 * this.facts.overlap + 16} px for this model, not ${tile}`);
    }
    const { width, height, data } = await pixelsOf(source, scale);
    signal?.throwIfAborted();
    const result = new Upscaled(width * scale, height * scale);
    const job: Job = { pixels: data, width, height, scale, backProjection, tile, bicubic };
    const started = performance.now();
    await this.ask({ type: "upscale", job }, signal, (reply) => {
      if (reply.type === "tile") {
        const { tile, done, total } = reply;
        if (!tile.draft) result.put(tile);
        onTile?.(tile, result);
        onProgress?.({ done, total, secondsLeft: ((performance.now() - started) / 1000 / done) * (total - done) });
      }
      return reply.type === "done";
    });
    return result;
  }

  private rejects?: (reason: unknown) => void;

  /** Send a request and hear the replies until `finished`. An abort ends the worker: a run of it cannot be broken off. */
  private ask(request: Request, signal: AbortSignal | undefined, finished: (reply: Reply) => boolean): Promise<void> {
    const { worker } = this;
    let abort: () => void;
    return new Promise<void>((resolve, reject) => {
      if (!worker) throw new UpscaleError("crashed", "The model was disposed of in the meantime");
      abort = () => {
        reject(aborted(signal));
        this.stop();
      };
      this.rejects = reject;
      worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
        try {
          if (reply.type === "error") reject(new UpscaleError(reply.code, reply.message));
          else if (finished(reply)) resolve();
        } catch (error) {
          reject(error); // of the caller's own functions
          this.stop();
        }
      };
      worker.onerror = (event) => {
        reject(new UpscaleError("crashed", event.message || "The worker cannot be loaded: is worker.js where index.js is?"));
        this.stop();
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted) return abort();
      worker.postMessage(request, request.type === "upscale" ? [request.job.pixels.buffer] : []);
    }).finally(() => signal?.removeEventListener("abort", abort));
  }

  private stop(): void {
    this.worker?.terminate();
    this.worker = this.started = undefined;
    this.rejects?.(new UpscaleError("crashed", "The model was disposed of in the meantime"));
  }
}
