/** Before and after in one frame: a divider to drag, zoom and panning. */
import type { Tile } from "../src/index.js";

const LARGEST = 1 << 24; // pixels of a canvas: what phones hold
const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export class Viewer {
  private readonly stage = find("stage");
  private readonly sheet = find("sheet");
  private readonly divider = find("divider");
  private readonly before = find<HTMLCanvasElement>("before");
  private readonly after = find<HTMLCanvasElement>("after");
  private size = { width: 1, height: 1 };
  /** Canvas pixels for one of the result: less than 1 for what is larger than a canvas may be. */
  private shown = 1;
  private zoom = 1;
  private fitted = true;
  private x = 0;
  private y = 0;
  /** Where the divider is, in parts of the stage's width. */
  private share = 0.5;
  private readonly pointers = new Map<number, PointerEvent>();

  constructor() {
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(this.stage);
    find("in").onclick = () => this.zoomBy(1.5);
    find("out").onclick = () => this.zoomBy(1 / 1.5);
    find("fit").onclick = () => this.fit();
    this.stage.addEventListener("dblclick", (event) => (this.fitted ? this.zoomTo(1 / devicePixelRatio, event) : this.fit()));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"] as const) {
      this.stage.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    this.divider.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show a picture, enlarged by the browser until tiles come. */
  open(picture: CanvasImageSource, width: number, height: number): void {
    this.size = { width, height };
    this.stage.style.aspectRatio = `${width} / ${height}`;
    this.shown = Math.min(1, Math.sqrt(LARGEST / (width * height)));
    for (const canvas of [this.before, this.after]) {
      canvas.width = Math.round(width * this.shown);
      canvas.height = Math.round(height * this.shown);
      const context = canvas.getContext("2d")!;
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    }
    this.fit();
  }

  /** Show the finished result beside what is there. */
  close(result: CanvasImageSource): void {
    const context = this.after.getContext("2d")!;
    context.clearRect(0, 0, this.after.width, this.after.height);
    context.drawImage(result, 0, 0, this.after.width, this.after.height);
  }

  async put({ x, y, width, height, data, bicubic }: Tile): Promise<void> {
    const draw = async (canvas: HTMLCanvasElement, pixels: Uint8ClampedArray<ArrayBuffer>) => {
      const { shown } = this;
      const context = canvas.getContext("2d")!;
      const image = new ImageData(pixels, width, height);
      if (shown === 1) return context.putImageData(image, x, y);
      const bitmap = await createImageBitmap(image);
      const at = [x * shown, y * shown, width * shown, height * shown] as const;
      context.clearRect(...at);
      context.drawImage(bitmap, ...at);
      bitmap.close();
    };
    await draw(this.after, data);
    if (bicubic) await draw(this.before, bicubic);
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.stage;
    // Small ones fill the stage, up to twice their size.
    this.zoom = Math.min(clientWidth / this.size.width, clientHeight / this.size.height, 2);
    this.fitted = true;
    this.place();
  }

  private zoomBy(factor: number): void {
    this.zoomTo(this.zoom * factor);
  }

  /** Zoom so that what is under the pointer, or in the middle, stays there. */
  private zoomTo(zoom: number, at?: { clientX: number; clientY: number }): void {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const [x, y] = at ? [at.clientX - left, at.clientY - top] : [width / 2, height / 2];
    const wanted = Math.min(Math.max(zoom, 0.02), 16);
    this.x = x - ((x - this.x) * wanted) / this.zoom;
    this.y = y - ((y - this.y) * wanted) / this.zoom;
    this.zoom = wanted;
    this.fitted = false;
    this.place();
  }

  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 200), event);
  }

  private down(event: PointerEvent): void {
    if ((event.target as Element).closest("button")) return;
    this.pointers.set(event.pointerId, event);
    this.stage.setPointerCapture(event.pointerId);
    if (this.onDivider(event) || this.fits()) this.slideTo(event);
  }

  private move(event: PointerEvent): void {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    this.pointers.set(event.pointerId, event);
    const other = [...this.pointers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const apart = (one: PointerEvent) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.zoomTo((this.zoom * apart(event)) / Math.max(apart(last), 1), middle);
    } else if (this.sliding) {
      this.slideTo(event);
    } else {
      this.x += event.clientX - last.clientX;
      this.y += event.clientY - last.clientY;
      this.fitted = false;
      this.place();
    }
  }

  private sliding = false;

  private onDivider(event: PointerEvent): boolean {
    const { left, width } = this.stage.getBoundingClientRect();
    this.sliding = Math.abs(event.clientX - left - this.share * width) < 24 || this.fits();
    return this.sliding;
  }

  /** Whether the whole picture is in view, so that there is nothing to pan. */
  private fits(): boolean {
    const { clientWidth, clientHeight } = this.stage;
    return this.size.width * this.zoom <= clientWidth + 1 && this.size.height * this.zoom <= clientHeight + 1;
  }

  private slideTo(event: PointerEvent): void {
    const { left, width } = this.stage.getBoundingClientRect();
    this.share = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    this.place();
  }

  private key(event: KeyboardEvent): void {
    const step = event.shiftKey ? 0.1 : 0.02;
    const steps: Record<string, number> = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageUp: 0.1, PageDown: -0.1 };
    if (event.key === "Home") this.share = 0;
    else if (event.key === "End") this.share = 1;
    else if (event.key in steps) this.share = Math.min(Math.max(this.share + steps[event.key]!, 0), 1);
    else return;
    event.preventDefault();
    this.place();
  }

  private place(): void {
    const { clientWidth, clientHeight } = this.stage;
    const [width, height] = [this.size.width * this.zoom, this.size.height * this.zoom];
    // Centred where it is smaller than the stage, else without a gap at its sides.
    this.x = width <= clientWidth ? (clientWidth - width) / 2 : Math.min(0, Math.max(clientWidth - width, this.x));
    this.y = height <= clientHeight ? (clientHeight - height) / 2 : Math.min(0, Math.max(clientHeight - height, this.y));
    Object.assign(this.sheet.style, { width: `${width}px`, height: `${height}px`, translate: `${this.x}px ${this.y}px` });
    this.sheet.classList.toggle("pixels", this.zoom * devicePixelRatio >= 3);
    const line = this.share * clientWidth;
    this.after.style.clipPath = `inset(0 0 0 ${Math.min(Math.max(line - this.x, 0), width)}px)`;
    this.divider.style.left = `${line}px`;
    const percent = Math.round(this.share * 100);
    this.divider.setAttribute("aria-valuenow", String(percent));
    this.divider.setAttribute("aria-valuetext", `${percent} % bicubic, ${100 - percent} % result`);
    this.stage.classList.toggle("pans", !this.fits());
  }
}
