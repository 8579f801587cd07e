"""The machine that training would run on: its chip, its memory, its disk and how fast it multiplies.

GB of memory are 2**30 bytes, as cards and memory are sold; GB of disk are 10**9 bytes, as disks are sold.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

import psutil

from loradeck.engines.errors import BadSpec

Device = Literal["cuda", "mps", "cpu"]
DEVICES: tuple[Device, ...] = ("cuda", "mps", "cpu")

DEVICE_VARIABLE = "LORADECK_DEVICE"
"""Environment variable that forces a device."""

GIB = 2**30
DISK_GB = 10**9

SHEET_TFLOPS = {
    "T4": 8.1,
    "V100": 15.7,
    "A10": 125.0,
    "A10G": 70.0,
    "A30": 165.0,
    "A40": 149.7,
    "A100": 312.0,
    "H100": 989.0,
    "H100 PCIe": 756.0,
    "H200": 989.0,
    "B200": 2250.0,
    "L4": 121.0,
    "L40": 181.0,
    "L40S": 362.0,
    "RTX A6000": 154.8,
    "RTX 6000 Ada": 364.2,
    "RTX PRO 6000": 503.0,
    "RTX 3060": 25.5,
    "RTX 3070": 40.6,
    "RTX 3080": 59.5,
    "RTX 3090": 71.0,
    "RTX 4060": 30.0,
    "RTX 4060 Ti": 44.1,
    "RTX 4070": 58.3,
    "RTX 4070 Ti": 80.2,
    "RTX 4080": 97.5,
    "RTX 4080 SUPER": 104.4,
    "RTX 4090": 165.2,
    "RTX 5070 Ti": 87.9,
    "RTX 5080": 112.6,
    "RTX 5090": 209.5,
}
"""Peak TFLOP/s of dense 16-bit matrix products summed in float32, from NVIDIA's data sheets and architecture papers.

GeForce cards do half of their 16-bit peak when they sum in float32, which training does; these are the halves. Chips
without bfloat16 (T4, V100) train in float32, of which theirs are the peaks.
"""

CAPABILITY_TFLOPS = (((10, 0), 90.0), ((9, 0), 750.0), ((8, 9), 30.0), ((8, 0), 25.0), ((0, 0), 5.0))
"""For a chip that is not in the list: a slow one of its generation, by compute capability."""

LAPTOP_SHARE = 0.5
"""A laptop's chip of the same name has fewer units and less power."""

CPU_CORE_TFLOPS = 0.08
"""Peak float32 products of one core: two 8-wide multiply-adds (32 operations) a cycle at 2.5 GHz."""

VRAM_SHARE = 0.95
"""How much of a chip's free memory is used: what is free changes, and estimates are estimates."""

RAM_SHARE = 0.9
"""How much of the free RAM is used."""

FP8_CAPABILITY = (8, 9)
BF16_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class Machine:
    """One machine. `vram_gb` and `ram_gb` are what is there, the `_free_` ones what other programs leave.

    On Apple chips the memory of the chip is part of the RAM. `gpus` counts the chips of this kind; the other numbers
    are of one. `tflops` is the peak in products of 16-bit numbers (float32 on
    a CPU and on chips without bfloat16), or None where it is not known.
    `compiles` says whether torch can compile for it.
    """

    device: Device
    name: str
    vram_gb: float
    vram_free_gb: float
    ram_gb: float
    ram_free_gb: float
    disk_gb: float
    gpus: int = 0
    tflops: float | None = None
    has_fp8: bool = False
    bf16: bool = True
    compiles: bool = False

    @property
    def vram_allowed(self) -> float:
        """GB of the chip's memory that a training may use."""
        return self.vram_free_gb * VRAM_SHARE

    @property
    def ram_allowed(self) -> float:
        """GB of RAM that a training may use."""
        return self.ram_free_gb * RAM_SHARE


def matmul_tflops(name: str, capability: tuple[int, int]) -> float:
    """Peak TFLOP/s of an NVIDIA chip by its name, else by its compute capability."""
    known = [chip for chip in SHEET_TFLOPS if re.search(rf"\b{re.escape(chip)}\b", name)]
    if known:
        peak = SHEET_TFLOPS[max(known, key=len)]
    else:
        peak = next(rate for least, rate in CAPABILITY_TFLOPS if capability >= least)
    return peak * LAPTOP_SHARE if "Laptop" in name else peak


def detect(folder: Path) -> Machine:
    """The machine at hand, with the disk that `folder` (or the nearest folder above that exists) lies on.

    CUDA is chosen before an Apple chip, and that before the CPU.

    Raises:
        BadSpec: the environment variable LORADECK_DEVICE names no device, or one that is not there.
    """
    device = _device()
    memory = psutil.virtual_memory()
    ram, ram_free = memory.total / GIB, memory.available / GIB
    disk = shutil.disk_usage(_existing(folder)).free / DISK_GB
    if device == "cuda":
        return _cuda(ram, ram_free, disk)
    if device == "mps":
        return _mps(ram, ram_free, disk)
    cores = psutil.cpu_count(logical=False) or 1
    return Machine("cpu", f"CPU with {cores} cores", 0.0, 0.0, ram, ram_free, disk, tflops=cores * CPU_CORE_TFLOPS)


def _device() -> Device:
    """The device to use: the one that the environment forces, else the best there is."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    asked = os.environ.get(DEVICE_VARIABLE, "").strip().lower()
    if not asked:
        return next(device for device in DEVICES if there[device])
    if asked not in there:
        raise BadSpec(f"{DEVICE_VARIABLE} is {asked!r}; set it to cuda, mps or cpu, or leave it unset.")
    if not there[asked]:
        raise BadSpec(
            f"{DEVICE_VARIABLE} asks for {asked}, which torch does not find on this machine; install a torch that "
            "supports it, or leave the variable unset."
        )
    return cast(Device, asked)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _cuda(ram: float, ram_free: float, disk: float) -> Machine:
    """The first NVIDIA (or, through ROCm, AMD) chip."""
    import torch

    free, total = torch.cuda.mem_get_info(0)
    name, capability = torch.cuda.get_device_name(0), torch.cuda.get_device_capability(0)
    nvidia = torch.version.hip is None
    return Machine(
        device="cuda",
        name=name,
        vram_gb=total / GIB,
        vram_free_gb=free / GIB,
        ram_gb=ram,
        ram_free_gb=ram_free,
        disk_gb=disk,
        gpus=torch.cuda.device_count(),
        tflops=matmul_tflops(name, capability) if nvidia else None,
        has_fp8=nvidia and capability >= FP8_CAPABILITY,
        bf16=not nvidia or capability >= BF16_CAPABILITY,
        compiles=find_spec("triton") is not None,
    )


def _mps(ram: float, ram_free: float, disk: float) -> Machine:
    """An Apple chip: it may use the part of the RAM that Metal recommends."""
    import torch

    total = torch.mps.recommended_max_memory() / GIB
    return Machine("mps", "Apple chip", total, min(total, ram_free), ram, ram_free, disk, gpus=1)
