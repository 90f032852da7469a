"""What a machine has, and what follows from it. Only the probe of the machine is replaced."""

from __future__ import annotations

import json

import pytest
from machines import gpu

import nbtool
from nbtool.machine import containers, probe
from nbtool.machine.hardware import choose

GIB = 2**30


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (gpu("cuda", "NVIDIA GeForce GTX 1650", 4, "7.5"), ("cuda", "float32")),
        (gpu("cuda", "NVIDIA GeForce RTX 2060", 6, "7.5"), ("cuda", "float16")),
        (gpu("cuda", "Tesla T4", 15, "7.5"), ("cuda", "float16")),
        (gpu("cuda", "NVIDIA T400 4GB", 4, "7.5"), ("cuda", "float32")),
        (gpu("cuda", "NVIDIA GeForce RTX 3060", 12, "8.6"), ("cuda", "bfloat16")),
        (gpu("cuda", "NVIDIA H200", 139, "9.0"), ("cuda", "bfloat16")),
        (gpu("cuda", "NVIDIA B200", 180, "10.0"), ("cuda", "bfloat16")),
        (gpu("rocm", "AMD Radeon RX 6800", 16, "gfx1030"), ("cuda", "float16")),
        (gpu("rocm", "AMD Radeon RX 7900 XTX", 24, "gfx1100"), ("cuda", "bfloat16")),
        (gpu("xpu", "Intel(R) Arc(TM) A770 Graphics", 16), ("xpu", "bfloat16")),
        (gpu("mps", "Apple arm64 GPU", 16), ("mps", "float32")),
    ],
)
def test_a_card_is_used_in_the_numbers_it_computes_well_in(card, expected):
    device, dtype, reason = choose([card])
    assert (device, dtype) == expected
    assert reason


def test_without_a_card_the_processor_is_used():
    assert choose([])[:2] == ("cpu", "float32")


def test_the_largest_card_is_used_unless_another_is_wanted():
    old = gpu("cuda", "Tesla T4", 15, "7.5")
    new = gpu("cuda", "NVIDIA A100", 80, "8.0", device="cuda:1")
    assert choose([old, new])[:2] == ("cuda:1", "bfloat16")
    assert choose([old, new], "cuda:0")[:2] == ("cuda:0", "float16")
    assert choose([old, new], "cuda")[:2] == ("cuda", "float16")
    assert choose([old, new], "cpu")[:2] == ("cpu", "float32")


def test_the_report_names_every_card_in_words(monkeypatch):
    cards = (
        gpu("cuda", "Tesla T4", 15, "7.5", free_gib=3.25, driver="535.1"),
        gpu("rocm", "AMD Radeon RX 7900 XTX", 24, "gfx1100", device="cuda:1"),
    )
    monkeypatch.setattr(probe, "gpus", lambda: cards)
    machine = nbtool.hardware()
    shown = machine.rows()["Graphics card"]
    assert "Tesla T4 (CUDA 7.5, driver 535.1), 15.0 GiB, 3.2 GiB free" in shown
    assert "AMD Radeon RX 7900 XTX (ROCm gfx1100), 24.0 GiB" in shown
    assert json.loads(json.dumps(machine.to_dict()))["gpus"][0]["driver"] == "535.1"


def test_a_card_that_torch_cannot_use_is_pointed_out(monkeypatch):
    monkeypatch.setattr(probe, "gpus", lambda: ())
    monkeypatch.setattr(probe, "_nvidia", lambda: ("NVIDIA GeForce RTX 4090", "560.35"))
    assert "NVIDIA GeForce RTX 4090, but" in str(nbtool.hardware())


def test_the_report_of_this_machine_is_true():
    machine = nbtool.hardware()
    assert 0 < machine.free_memory_gib < machine.memory_gib
    assert machine.cores >= 1
    assert machine.models.free_gib > 0
    assert {"nbtool", "torch", "diffusers"} <= set(machine.versions)
    bundle = machine._repr_mimebundle_()
    assert "Images are made on" in bundle["text/plain"]
    assert bundle["text/html"].startswith("<table")


@pytest.fixture
def groups(tmp_path):
    """Writes control groups, and asks what they leave a process."""

    def ask(membership, files):
        root = tmp_path / "cgroup"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        own = tmp_path / "membership"
        own.write_text(membership)
        return containers.memory(root, own), containers.cores(root, own)

    return ask


def test_limits_of_control_groups_of_version_2(groups):
    memory, cores = groups(
        "0::/slice/own\n",
        {
            "slice/memory.max": f"{4 * GIB}\n",
            "slice/memory.current": f"{3 * GIB}\n",
            "slice/memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
            "slice/own/memory.max": "max\n",
            "slice/own/cpu.max": "150000 100000\n",
            "slice/cpu.max": "max 100000\n",
        },
    )
    assert (memory.limit, memory.free) == (4 * GIB, 3 * GIB)
    assert cores == 1.5


def test_limits_of_control_groups_of_version_1(groups):
    # As inside a container: the path is that of the world outside.
    memory, cores = groups(
        "4:memory:/docker/0123\n1:cpu,cpuacct:/docker/0123\n",
        {
            "memory/memory.limit_in_bytes": f"{2 * GIB}",
            "memory/memory.usage_in_bytes": f"{GIB}",
            "memory/memory.stat": "total_inactive_file 0",
            "cpu/cpu.cfs_quota_us": "200000",
            "cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert (memory.limit, memory.free) == (2 * GIB, GIB)
    assert cores == 2


def test_no_limit_is_no_limit(groups):
    unlimited = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu/cpu.cfs_quota_us": "-1",
    }
    assert groups("4:memory:/\n1:cpu:/\n", unlimited) == (None, None)
    assert groups("", {}) == (None, None)
