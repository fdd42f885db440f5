/** LiteRT.js: loads it as this browser can run it, and runs a model on tiles. Works in a classic worker only. */
import { type CompiledModel, isWebGPUSupported, type LiteRt, loadLiteRt, Tensor } from "@litertjs/core";
import { UpscaleError } from "./errors.js";
import { type Model, sized } from "./model.js";
import { grown, type Picture } from "./tiling.js";

export type Device = "wasm" | "webgpu";

export interface Engine {
  device: Device;
  /** Of WASM. */
  threads: number;
}

let loaded: Promise<LiteRt> | undefined;

/** LiteRT with threads where the page may have them (COOP and COEP), else without. */
function runtime(folder: string, threaded: boolean): Promise<LiteRt> {
  const fileOf = (name: string) => folder + name;
  const load = (threads: boolean) => {
    const mainScriptUrlOrBlob = fileOf("litert_wasm_threaded_internal.js");
    const quiet = { print: console.debug, printErr: console.debug }; // it tells of each step
    Object.assign(self, { Module: { locateFile: fileOf, ...quiet, ...(threads && { mainScriptUrlOrBlob }) } });
    return loadLiteRt(folder, { threads });
  };
  loaded ??= (threaded ? load(true).catch(() => load(false)) : load(false)).catch((error: Error) => {
    throw new UpscaleError("no-runtime", `LiteRT cannot be started in this browser: ${error.message}`);
  });
  return loaded;
}

/** A model on a device, compiled for one size of tile at a time. */
export class Network {
  private compiled?: { model: CompiledModel; height: number; width: number };

  private constructor(
    private readonly model: Model,
    private readonly litert: LiteRt,
    readonly engine: Engine,
  ) {}

  get facts() {
    return this.model.facts;
  }

  /** `device`: "auto" takes WebGPU where a graphics processor runs the whole model, else WASM. `threads`: at most. */
  static async open(model: Model, folder: string, device: Device | "auto", threads: number): Promise<Network> {
    const litert = await runtime(folder, threads > 1 && self.crossOriginIsolated);
    // More threads than LiteRT has started hang it.
    const most = self.crossOriginIsolated ? litert.liteRtWasm.getThreadCount() : 1;
    const wasm = { device: "wasm", threads: Math.max(1, Math.min(threads, most)) } as const;
    if (device === "wasm" || (device === "auto" && !(await hasGraphicsProcessor()))) return new Network(model, litert, wasm);
    const network = new Network(model, litert, { device: "webgpu", threads: 1 });
    try {
      await network.warmUp();
      return network;
    } catch (error) {
      network.delete();
      if (device === "webgpu") throw new UpscaleError("no-runtime", `WebGPU does not run this model: ${(error as Error).message}`);
      return new Network(model, litert, wasm);
    }
  }

  /** Compile, and run once on black. */
  async warmUp(): Promise<void> {
    const side = 16 * this.facts.align;
    const values = new Float32Array(side * side * 3);
    await this.run({ height: side, width: side, bands: 3, values });
  }

  /** LR RGB in [0, 1] → SR RGB in [0, 1]. */
  async run(lr: Picture): Promise<Picture> {
    const { align, scale } = this.facts;
    const [height, width] = [lr.height, lr.width].map((side) => Math.ceil(side / align) * align) as [number, number];
    const compiled = await this.compiledFor(height, width);
    const given = new Tensor(grown(lr, height, width).values, [1, height, width, 3]);
    const made: Tensor[] = [];
    try {
      made.push(...(await compiled.run(given)));
      const values = (await made[0]!.data()).slice() as Float32Array;
      const sr = { height: height * scale, width: width * scale, bands: 3, values };
      return align === 1 ? sr : cropped(sr, lr.height * scale, lr.width * scale);
    } finally {
      for (const tensor of [given, ...made]) tensor.delete();
    }
  }

  private async compiledFor(height: number, width: number): Promise<CompiledModel> {
    if (this.compiled?.height === height && this.compiled.width === width) return this.compiled.model;
    this.delete();
    const model = await this.litert.loadAndCompile(sized(this.model, height, width), {
      accelerator: this.engine.device,
      cpuOptions: { numThreads: this.engine.threads },
      gpuOptions: { precision: "fp32" }, // half precision costs some of 255
    });
    this.compiled = { model, height, width };
    if (this.engine.device === "webgpu" && !model.isFullyAccelerated) throw new Error("a part of it would run on the CPU");
    return model;
  }

  delete(): void {
    this.compiled?.model.delete();
    this.compiled = undefined;
  }
}

async function hasGraphicsProcessor(): Promise<boolean> {
  if (!isWebGPUSupported()) return false;
  const { gpu } = navigator as unknown as { gpu: { requestAdapter(): Promise<{ info: { isFallbackAdapter: boolean } } | null> } };
  const adapter = await gpu.requestAdapter().catch(() => null);
  return !!adapter && !adapter.info.isFallbackAdapter; // which computes on the CPU, slower than WASM
}

function cropped(from: Picture, height: number, width: number): Picture {
  const values = new Float32Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    values.set(from.values.subarray(y * from.width * 3, (y * from.width + width) * 3), y * width * 3);
  }
  return { height, width, bands: 3, values };
}
