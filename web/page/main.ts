/** The page: photographs come in, wait for each other, are enlarged and can be saved. */
import { encoded, load, type SuperResolution, UpscaleError } from "../src/index.js";
import { type Choice, Choices, seconds, titleOf } from "./choices.js";
import { intake } from "./intake.js";
import { controlled } from "./offline.js";
import { Strip } from "./strip.js";
import { Viewer } from "./viewer.js";

/** A photograph and what became of it. */
export interface Item {
  file: File;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  /** The result as PNG, which the browser may keep on disk. */
  result?: Blob;
  made?: Choice;
  /** What became of it, for people. */
  note: string;
}

const find = (id: string) => document.getElementById(id)!;
const viewer = new Viewer();
const choices = new Choices(rerun);
const strip = new Strip(select);
const items: Item[] = [];
let selected: Item | undefined;
let running: { item: Item; stop: AbortController } | undefined;
let model: { name: string; sr: SuperResolution } | undefined;

intake(take);
find("cancel").onclick = () => running?.stop.abort();
find("again").onclick = rerun;
for (const button of find("save").querySelectorAll("button")) button.onclick = () => save(button.dataset.type!);

function take(files: File[]): void {
  complain();
  const added = files.map((file): Item => ({ file, state: "waiting", note: "Waiting" }));
  items.push(...added);
  if (added[0] && !running) select(added[0]);
  next();
}

/** Make the shown photograph again, as is chosen now. */
function rerun(): void {
  complain();
  if (!selected) return;
  const item = selected;
  if (running?.item === item) running.stop.abort();
  Object.assign(item, { state: "waiting", note: "Waiting", result: undefined, made: undefined });
  items.splice(items.indexOf(item), 1);
  items.unshift(item); // its turn is next
  show();
  next();
}

async function next(): Promise<void> {
  const item = items.find(({ state }) => state === "waiting");
  if (running || !item) return show();
  running = { item, stop: new AbortController() };
  item.state = "running";
  if (selected?.state !== "done" || items.length === 1) select(item);
  try {
    await enlarge(item, choices.value, running.stop.signal);
  } catch (error) {
    fail(item, error as Error);
  }
  running = undefined;
  next();
}

async function enlarge(item: Item, choice: Choice, signal: AbortSignal): Promise<void> {
  const { model: name, scale } = choice;
  progress(item, 0, "Getting ready");
  if (model?.name !== name) {
    model?.sr.dispose();
    model = undefined;
    await controlled();
    model = { name, sr: await load({ model: name, signal }) };
    const { device, threads } = model.sr.engine;
    find("engine").textContent = ` by ${device === "wasm" ? `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}` : "WebGPU"}`;
  }
  const started = performance.now();
  let pixels = 1;
  const result = await model.sr.upscale(item.file, {
    scale,
    signal,
    bicubic: true,
    onTile: (tile, { width, height }) => {
      pixels = (width * height) / scale ** 2;
      if (selected === item) viewer.put(tile);
    },
    onProgress: ({ done, total, secondsLeft }) => {
      if (done === 1) choices.measured(name, (secondsLeft + (performance.now() - started) / 1000) / pixels);
      progress(item, done / total, `${Math.round((100 * done) / total)} % · ${seconds(secondsLeft)} left`);
    },
  });
  const took = (performance.now() - started) / 1000;
  choices.measured(name, took / pixels);
  item.result = await result.toBlob();
  item.made = choice;
  item.state = "done";
  if (selected === item) viewer.close(await createImageBitmap(item.result)); // parts may have come while it was not shown
  const sizes = `${result.width / scale} × ${result.height / scale} → ${result.width} × ${result.height} px`;
  item.note = `${sizes} · ${titleOf(name)} ×${scale} · ${took.toFixed(1)} s`;
  say(`${item.file.name} is ready`);
}

function fail(item: Item, error: Error): void {
  if (item.state === "waiting") return; // aborted to be made again
  if (error.name === "AbortError") return void Object.assign(item, { state: "cancelled", note: "Cancelled" });
  console.error(error);
  complain(error instanceof UpscaleError ? error.message : `Something went wrong: ${error.message}`);
  const picture = !(error instanceof UpscaleError && ["not-a-picture", "heic"].includes(error.code));
  if (picture) return void Object.assign(item, { state: "failed", note: "Not enlarged" });
  items.splice(items.indexOf(item), 1);
  if (selected === item) select(items.at(-1));
}

async function select(item: Item | undefined): Promise<void> {
  const changed = selected !== item;
  selected = item;
  show();
  if (!item || (!changed && item.state === "done")) return;
  const picture = await createImageBitmap(item.file).catch(() => undefined); // the library says what is wrong
  if (!picture || selected !== item) return;
  choices.expectFor(picture.width * picture.height);
  const scale = (item.made ?? choices.value).scale;
  viewer.open(picture, picture.width * scale, picture.height * scale);
  picture.close();
  if (item.result) viewer.close(await createImageBitmap(item.result));
}

function progress(item: Item, share: number, note: string): void {
  item.note = note;
  if (selected === item || !selected) (find("progress") as HTMLProgressElement).value = share;
  show();
}

/** Bring the page to what there is. */
function show(): void {
  find("welcome").hidden = items.length > 0;
  find("work").hidden = !items.length;
  strip.show(items, selected);
  if (!selected) return;
  const { state, file, note, made } = selected;
  find("title").textContent = file.name;
  find("status").textContent = note;
  find("label").textContent = titleOf((made ?? choices.value).model);
  find("work").dataset.state = state;
  find("cancel").hidden = state !== "running";
  find("again").hidden = state !== "failed" && state !== "cancelled";
  find("save").hidden = state !== "done";
  find("progress").hidden = state !== "running";
}

async function save(type: string): Promise<void> {
  const item = selected!;
  try {
    const blob = type === "image/png" ? item.result! : await encoded(await createImageBitmap(item.result!), type);
    const ending = type.replace("image/", "").replace("jpeg", "jpg");
    const link = document.createElement("a");
    link.download = `${item.file.name.replace(/\.[^.]*$/, "")}_x${item.made!.scale}.${ending}`;
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    complain((error as Error).message);
  }
}

/** To everybody, until the next photograph; to nobody, without a message. */
function complain(message = ""): void {
  find("error").textContent = message;
  find("error").hidden = !message;
}

/** To screen readers. */
function say(message: string): void {
  find("said").textContent = message;
}
