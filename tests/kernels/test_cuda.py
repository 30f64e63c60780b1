"""The twins for CUDA devices: when they work, and their laws, which have a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from skflow.kernels import cuda, cuda_affine, cuda_spline, fused_spline, registry
from skflow.kernels.affine import affine_forward, affine_inverse
from skflow.kernels.rational_quadratic import spline_inverse

HERE = Path(__file__).parent
ON_DEVICE = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def assert_passes(name, **environment):
    pytest.importorskip("triton", reason="Triton is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / name)]
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("TRITON_", "PYTEST_"))}
    run = subprocess.run(
        command, env=ours | environment, cwd=HERE.parents[1], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "interpret", ["1", pytest.param("0", marks=ON_DEVICE)], ids=["interpreted", "on a device"]
)
def test_the_laws_hold(interpret):
    assert_passes("laws_of_cuda.py", TRITON_INTERPRET=interpret)


@pytest.mark.slow
def test_the_kernels_compile(tmp_path):
    assert_passes("compiling_of_cuda.py", TRITON_CACHE_DIR=str(tmp_path))


def chosen(device="cuda:0", dtype=torch.float32, n=5, p=None):
    """What works for a spline and an affine map, forward and inverse."""
    with FakeTensorMode():
        x = torch.empty(3, n, device=device, dtype=dtype)
        spline, affine = (torch.empty(k, 3, n, device=device, dtype=p or dtype) for k in (8, 2))
        return [
            registry.spline_forward.chosen(x, spline, 3.0),
            registry.spline_inverse.chosen(x, spline, 3.0),
            registry.affine_forward.chosen(x, affine),
            registry.affine_inverse.chosen(x, affine),
        ]


TWINS = [
    cuda_spline.spline_forward,
    cuda_spline.spline_inverse,
    cuda_affine.affine_forward,
    cuda_affine.affine_inverse,
]
WITHOUT = [fused_spline.spline_forward, spline_inverse, affine_forward, affine_inverse]


def test_they_work_for_what_lies_on_such_a_device(monkeypatch):
    monkeypatch.setattr(cuda, "works_on", lambda device: device == torch.device("cuda", 0))
    assert chosen() == chosen(dtype=torch.float64) == TWINS
    assert chosen(dtype=torch.float16) == WITHOUT
    assert chosen(p=torch.float64) == WITHOUT
    assert chosen(n=0) == WITHOUT
    assert chosen("cuda:1") == WITHOUT
    assert not set(chosen("cpu")) & set(TWINS)


@pytest.mark.parametrize(
    ("capability", "version", "fault", "works"),
    [
        ((8, 0), "3.7.1", None, True),
        ((7, 5), "3.7.1", None, False),
        ((8, 0), "3.6.0", None, False),
        ((8, 0), "3.7.1", RuntimeError("Failed to find C compiler"), False),
    ],
)
def test_where_triton_cannot_the_rest_does(monkeypatch, capability, version, fault, works):
    triton = pytest.importorskip("triton", reason="Triton is not installed")

    def inverse_into(z, parameters, x):
        if fault:
            raise fault

    monkeypatch.setattr(triton, "__version__", version)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(cuda_affine, "inverse_into", inverse_into)
    with FakeTensorMode():
        assert cuda.works_on.__wrapped__(torch.device("cuda", 0)) is works


def test_without_triton_the_rest_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert not cuda.works_on.__wrapped__(torch.device("cuda", 0))


def test_triton_is_not_imported_before_a_tensor_lies_on_a_device():
    code = (
        "import sys, torch; from skflow.kernels.registry import affine_forward;"
        "affine_forward(torch.ones(2, 3), torch.ones(2, 2, 3));"
        "sys.exit('triton' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parents[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_they_work_here():
    pytest.importorskip("triton", reason="Triton is not installed")
    assert cuda.works_on(torch.device("cuda", 0))
    assert chosen() == TWINS
