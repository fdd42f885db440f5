/** A model's files, as `export.py --kinds=web` writes them: NAME.json and NAME.tflite. */
import { UpscaleError } from "./errors.js";

/** NAME.json. Sizes are in LR pixels. */
export interface ModelFacts {
  format: number;
  name: string;
  /** SR size over LR size. */
  scale: number;
  /** Pixels on each side that SR depends on: the receptive field. */
  context: number;
  /** Pixels that neighbouring tiles share; less than `context` where what is far was measured to count for nothing. */
  overlap: number;
  /** Tiles must be a multiple of so many pixels a side. */
  align: number;
  /** A side of the largest tile. */
  tile: number;
  /** Of the pictures that the model was trained on. */
  degradation: "bicubic" | "shrunk" | "real" | "unknown";
  file: string;
  bytes: number;
  sha256: string;
  licence: string;
  /** Where in the file each height and width lies: byte offset, and factor of the tile's. */
  rows: [offset: number, factor: number][];
  columns: [offset: number, factor: number][];
}

export interface Model {
  facts: ModelFacts;
  content: Uint8Array<ArrayBuffer>;
}

/** Fetch a model and check that it is what its JSON says. */
export async function fetchModel(folder: string, name: string): Promise<Model> {
  const facts = (await (await get(`${folder}${name}.json`, name)).json().catch(() => {
    throw new UpscaleError("no-model", `The model "${name}" cannot be loaded: ${name}.json is damaged`);
  })) as ModelFacts;
  if (facts.format !== 1) {
    throw new UpscaleError("no-model", `The model "${name}" is of format ${facts.format}; export it anew`);
  }
  const content = new Uint8Array(await (await get(folder + facts.file, name)).arrayBuffer());
  // Browsers have no digest on plain http, localhost apart.
  const known = content.length === facts.bytes && (!crypto.subtle || (await sha256(content)) === facts.sha256);
  if (!known) {
    throw new UpscaleError("no-model", `The model "${name}" cannot be loaded: ${facts.file} and its JSON do not belong together`);
  }
  return { facts, content };
}

async function get(url: string, name: string): Promise<Response> {
  const response = await fetch(url).catch((error: Error) => ({ ok: false, status: error.message }) as const);
  if (!response.ok) throw new UpscaleError("no-model", `The model "${name}" cannot be loaded: ${url} (${response.status})`);
  return response as Response;
}

async function sha256(content: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The file for tiles of this size. LiteRT.js cannot resize a model; see srgan_tf/export/web.py. */
export function sized({ facts, content }: Model, height: number, width: number): Uint8Array {
  const copy = content.slice();
  const view = new DataView(copy.buffer);
  for (const [offset, factor] of facts.rows) view.setInt32(offset, height * factor, true);
  for (const [offset, factor] of facts.columns) view.setInt32(offset, width * factor, true);
  return copy;
}
