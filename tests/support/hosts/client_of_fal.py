"""The official client of fal against the loopback service, in a process of its own: it reads its hosts when imported.

Takes the address of the service, that of its files and a folder, and prints one JSON object of what it saw.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fal_client
from fal_client import client as inside


def main(api: str, cdn: str, folder: Path) -> dict[str, Any]:
    inside.REST_URL, inside.CDN_URL = api, cdn
    inside.MULTIPART_THRESHOLD, inside.MULTIPART_CHUNK_SIZE = 4096, 2048
    client = fal_client.SyncClient()
    seen: dict[str, Any] = {"small": client.upload(b"words", "text/plain", "small.txt")}
    seen["zip"] = client.upload_file(folder / "set.zip", lifecycle=fal_client.client.StorageSettings(expires_in="1d"))
    trained = client.submit("fal-ai/flux-2-trainer", {"image_data_url": seen["zip"], "steps": 500})
    seen["states"] = [type(state).__name__ for state in trained.iter_events(with_logs=True, interval=0)]
    seen["trained"] = trained.get(interval=0)
    lora = seen["trained"]["diffusers_lora_file"]["url"]
    arguments = {"prompt": "a fox", "image_size": {"width": 64, "height": 48}, "loras": [{"path": lora, "scale": 1}]}
    seen["drawn"] = client.subscribe("fal-ai/flux-2/lora", arguments, interval=0)
    try:
        client.subscribe("fal-ai/flux-lora", {"prompt": "a fox", "promt": 1}, interval=0)
    except fal_client.FalClientHTTPError as error:
        seen["refused"] = [error.status_code, error.message, error.error_type]
    stopped = client.submit("fal-ai/flux-lora", {"prompt": "a fox"})
    stopped.cancel()
    seen["stopped"] = stopped.status().error_type  # type: ignore[attr-defined]
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
