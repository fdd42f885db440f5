"""How far something is and how long yet, for people: the one line of training and of upscaling."""

import shutil


def draw(stream, share: float, text: str) -> None:
    """Renew a bar filled to `share` (0 to 1) and a text in place on a terminal; elsewhere print them as a line."""
    line = f"[{'#' * int(20 * share):.<20}] {text}"
    if stream.isatty():
        line = f"\r{line[: shutil.get_terminal_size().columns - 1]}\033[K"
    else:
        line += "\n"
    stream.write(line)
    stream.flush()


def clock(seconds: float) -> str:
    """Time for people: "8.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
