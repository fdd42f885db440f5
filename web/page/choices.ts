/** The model and the scale, with what each costs. */
declare const MODELS: { name: string; bytes: number; scale: number }[];

const TOLD: Record<string, [title: string, text: string]> = {
  fast: ["Fast", "Draws texture. Good for most photographs"],
  compact: ["Sharp", "Clean edges, invents nothing, as fast"],
  srresnet: ["Faithful", "Nothing invented, nearest to the truth"],
  srgan: ["Detailed", "Draws texture that looks natural"],
  "srgan-real": ["Repair", "For compressed or noisy photographs"],
};

export interface Choice {
  model: string;
  scale: number;
}

export const titleOf = (model: string): string => TOLD[model]?.[0] ?? model;

export class Choices {
  private readonly form = document.getElementById("choices") as HTMLFormElement;
  /** Seconds for a LR pixel, as measured here. */
  private readonly rates = new Map<string, number>();
  private pixels = 0;

  constructor(changed: () => void) {
    const models = MODELS.map(({ name, bytes }) => {
      const [title, text] = TOLD[name] ?? [name, ""];
      const size = `${(bytes / 1e6).toFixed(1)} MB`;
      return radio("model", name, `<b>${title}</b><span>${text}</span><small>${size}<i></i></small>`);
    });
    const most = Math.max(...MODELS.map(({ scale }) => scale));
    const scales = [2, 3, 4].filter((scale) => scale <= most).map((scale) => radio("scale", String(scale), `×${scale}`));
    document.getElementById("models")!.append(...models);
    document.getElementById("scales")!.append(...scales);
    (models[0]!.querySelector("input") as HTMLInputElement).checked = true;
    (scales.at(-1)!.querySelector("input") as HTMLInputElement).checked = true;
    let waiting = 0; // keys pass through choices that nobody means
    this.form.onchange = () => {
      clearTimeout(waiting);
      waiting = window.setTimeout(changed, 300);
    };
  }

  get value(): Choice {
    const data = new FormData(this.form);
    return { model: String(data.get("model")), scale: Number(data.get("scale")) };
  }

  /** The picture that expected times are for. */
  expectFor(pixels: number): void {
    this.pixels = pixels;
    this.show();
  }

  /** rate: seconds for a LR pixel. */
  measured(model: string, rate: number): void {
    this.rates.set(model, rate);
    this.show();
  }

  private show(): void {
    for (const { name } of MODELS) {
      const rate = this.rates.get(name);
      const at = this.form.querySelector(`input[value="${name}"] ~ span i`)!;
      at.textContent = rate ? ` · ${seconds(rate * this.pixels)}` : "";
    }
  }
}

function radio(name: string, value: string, content: string): HTMLLabelElement {
  const label = document.createElement("label");
  label.innerHTML = `<input type="radio" name="${name}" value="${value}"><span>${content}</span>`;
  return label;
}

/** About so long, for people. */
export function seconds(time: number): string {
  if (time < 1.5) return "1 s";
  return time < 90 ? `${Math.round(time)} s` : `${Math.round(time / 60)} min`;
}
