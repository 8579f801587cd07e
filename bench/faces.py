"""What is said of faces, views and framing on labelled pictures, with Wilson bounds, and pictures a second.

    python bench/faces.py [FOLDER ...]

FOLDER is searched for more pictures, which hold no face: what is found in them is counted as false.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image, ImageOps, UnidentifiedImageError
from support.corpus import wilson_low
from support.people import HEADS, faceless, framed, renders

from loradeck.tools.curate_dataset.faces import find_faces
from loradeck.tools.curate_dataset.framing import dominant, framing_of

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    views()
    framings()
    nothing("without faces, in the repository", faceless())
    for folder in sys.argv[1:]:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        nothing(f"without faces, {folder}", paths)


def views() -> None:
    """What is answered for each true view of the renders."""
    answers: Counter[tuple[str, str]] = Counter()
    for render in renders():
        face = dominant(find_faces(render.picture()))
        answers[render.view, "no face" if face is None else face.angle or "unknown"] += 1
    said = sorted({answer for _, answer in answers}, key=str)
    print("view".ljust(22), *(f"{answer:>20}" for answer in said))
    for view in sorted({view for view, _ in answers}):
        print(view.ljust(22), *(f"{answers[view, answer]:>20}" for answer in said))
    told = {key: count for key, count in answers.items() if key[1] not in {"no face", "unknown"}}
    right = sum(count for (view, answer), count in told.items() if view == answer)
    shown = sum(count for (view, _), count in answers.items() if view not in {"profile", "back"})
    print(f"answers {sum(told.values())} of {shown} that show a face, right {share(right, sum(told.values()))}\n")


def framings() -> None:
    """How often the framing is told, and told right, in each part."""
    for part in HEADS:
        rows = Counter[tuple[str, str]]()
        for truth, picture in framed(part):
            rows[truth, framing_of(dominant(find_faces(picture)), picture.size) or "unknown"] += 1
        for truth in sorted({truth for truth, _ in rows}):
            print(
                f"framing, {part}: {truth:<10}",
                {str(said): count for (due, said), count in rows.items() if due == truth},
            )
        told = sum(count for (_, said), count in rows.items() if said != "unknown")
        right = sum(count for (due, said), count in rows.items() if due == said)
        print(f"answers {told} of {rows.total()}, right {share(right, told)}\n")


def nothing(name: str, paths: Iterable[Path]) -> None:
    """In how many pictures without a face one is found, and how fast."""
    false, seen, pixels = [], 0, 0.0
    for path in paths:
        try:
            with Image.open(path) as picture:
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, UnidentifiedImageError):
            continue
        start = time.process_time()
        found = find_faces(upright)
        pixels += time.process_time() - start
        seen += 1
        false += [f"{path.name} {face.confidence}" for face in found]
    print(f"{name}: {len(false)} faces in {seen} pictures, none in {share(seen - len(false), seen)}; ", end="")
    print(f"{seen / max(pixels, 1e-9):.1f} pictures per second of one core", *false, sep="\n    ")


def share(right: int, of: int) -> str:
    """A share with the lower end of its 95% interval."""
    return f"{right}/{of} = {right / max(1, of):.2f} (low {wilson_low(right, of):.2f})"


if __name__ == "__main__":
    main()
