/** What the page's thread and the worker say to each other. */
import type { UpscaleError } from "./errors.js";
import type { ModelFacts } from "./model.js";
import type { Job, Tile } from "./picture.js";
import type { Device, Engine } from "./runtime.js";

export type Request =
  | { type: "load"; base: string; model: string; device: Device | "auto"; threads: number }
  | { type: "upscale"; job: Job };

export type Reply =
  | { type: "ready"; facts: ModelFacts; engine: Engine }
  | { type: "tile"; tile: Tile; done: number; total: number }
  | { type: "done" }
  | { type: "error"; code: UpscaleError["code"]; message: string };
