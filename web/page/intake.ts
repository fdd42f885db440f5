/** Photographs come in: dropped, pasted, chosen, or the sample. */
export function intake(take: (files: File[]) => void): void {
  const input = document.getElementById("files") as HTMLInputElement;
  for (const id of ["choose", "more"]) document.getElementById(id)!.addEventListener("click", () => input.click());
  input.onchange = () => {
    take([...(input.files ?? [])]);
    input.value = ""; // so that the same file can be chosen again
  };

  document.getElementById("sample")!.onclick = async () => {
    const response = await fetch("sample.png");
    take([new File([await response.blob()], "sample.png", { type: "image/png" })]);
  };

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });

  let depth = 0; // of elements entered: leaving one for its child is no leaving
  const holds = (event: DragEvent) => event.dataTransfer?.types.includes("Files");
  const show = (change: number) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", (event) => holds(event) && show(1));
  document.addEventListener("dragleave", (event) => holds(event) && show(-1));
  document.addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    show(-depth);
    take([...event.dataTransfer!.files]);
  });
}
