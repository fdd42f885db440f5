/** What a user can mend, said in one sentence that names the mend. */
export class UpscaleError extends Error {
  override name = "UpscaleError";

  constructor(
    /** What went wrong, for programs. */
    readonly code: "no-model" | "no-runtime" | "not-a-picture" | "heic" | "too-large" | "bad-option" | "format" | "crashed",
    message: string,
  ) {
    super(message);
  }
}

/** What an aborted call rejects with, as `fetch` does. */
export function aborted(signal?: AbortSignal): unknown {
  return signal?.reason ?? new DOMException("upscaling was cancelled", "AbortError");
}
