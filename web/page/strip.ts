/** The photographs in a row, to choose which is shown. */
import type { Item } from "./main.js";

const STATES = { waiting: "waiting", running: "being enlarged", done: "ready", failed: "failed", cancelled: "cancelled" };

export class Strip {
  private readonly list = document.getElementById("items")!;
  private readonly buttons = new Map<Item, HTMLButtonElement>();

  constructor(private readonly select: (item: Item) => void) {}

  show(items: Item[], selected: Item | undefined): void {
    for (const [item, button] of this.buttons) {
      if (items.includes(item)) continue;
      URL.revokeObjectURL(button.querySelector("img")!.src);
      button.parentElement!.remove();
      this.buttons.delete(item);
    }
    this.list.hidden = items.length < 2;
    for (const item of items) {
      const button = this.buttons.get(item) ?? this.added(item);
      button.setAttribute("aria-current", String(item === selected));
      button.setAttribute("aria-label", `${item.file.name}, ${STATES[item.state]}`);
      button.dataset.state = item.state;
    }
  }

  private added(item: Item): HTMLButtonElement {
    const image = Object.assign(document.createElement("img"), { src: URL.createObjectURL(item.file), alt: "" });
    const button = Object.assign(document.createElement("button"), { type: "button", title: item.file.name });
    button.onclick = () => this.select(item);
    button.append(image);
    const entry = document.createElement("li");
    entry.append(button);
    this.list.append(entry);
    this.buttons.set(item, button);
    return button;
  }
}
