"""Machines that people have, as the probe would describe them."""

from __future__ import annotations

from nbtool.machine.hardware import Disk, Gpu, Hardware, choose, float_support


def gpu(kind, name, memory_gib, capability="", device=None, **more):
    float16, bfloat16 = float_support(kind, name, capability)
    device = device or {"rocm": "cuda:0", "mps": "mps"}.get(kind, f"{kind}:0")
    return Gpu(
        kind, device, name, memory_gib, capability=capability,
        float16=float16, bfloat16=bfloat16, **more,
    )  # fmt: skip


def machine(*gpus, memory_gib=32.0, free=0.8, cores=8):
    device, dtype, reason = choose(gpus)
    return Hardware(
        system="Linux", front_end="Jupyter", cores=cores, memory_gib=memory_gib,
        free_memory_gib=free * memory_gib, container=False, gpus=gpus, device=device, dtype=dtype,
        reason=reason, hint="", models=Disk("~", 100), images=Disk(".", 100), versions={},
    )  # fmt: skip


MACHINES = {
    "8 GB laptop": machine(memory_gib=7.7, cores=4),
    "GTX 1650": machine(
        gpu("cuda", "NVIDIA GeForce GTX 1650", 4.0, "7.5", free_gib=3.7), memory_gib=16
    ),
    "RTX 2060": machine(
        gpu("cuda", "NVIDIA GeForce RTX 2060", 6.0, "7.5", free_gib=5.6), memory_gib=16
    ),
    "T4": machine(gpu("cuda", "Tesla T4", 14.6, "7.5", free_gib=14.5), memory_gib=12.7, cores=2),
    "RTX 3060": machine(
        gpu("cuda", "NVIDIA GeForce RTX 3060", 12.0, "8.6", free_gib=11.5), memory_gib=64
    ),
    "RTX 4090": machine(
        gpu("cuda", "NVIDIA GeForce RTX 4090", 24.0, "8.9", free_gib=23.2), memory_gib=64
    ),
    "A100": machine(
        gpu("cuda", "NVIDIA A100-SXM4-80GB", 79.2, "8.0", free_gib=78.7), memory_gib=200
    ),
    "H200": machine(gpu("cuda", "NVIDIA H200", 139.8, "9.0", free_gib=139.0), memory_gib=200),
    "M2": machine(gpu("mps", "Apple arm64 GPU", 16.0, free_gib=12.0), memory_gib=16),
    "RX 7900 XTX": machine(gpu("rocm", "AMD Radeon RX 7900 XTX", 24.0, "gfx1100", free_gib=23.5)),
    "RX 6800": machine(gpu("rocm", "AMD Radeon RX 6800", 16.0, "gfx1030", free_gib=15.5)),
    "Arc A770": machine(gpu("xpu", "Intel(R) Arc(TM) A770 Graphics", 15.9, free_gib=15.3)),
    "A100, nearly full": machine(
        gpu("cuda", "NVIDIA A100-SXM4-80GB", 79.2, "8.0", free_gib=5.0), memory_gib=200
    ),
}
