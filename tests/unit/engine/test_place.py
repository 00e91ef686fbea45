"""place: which device is meant, whether it is there, and what is said where it is not."""

import importlib
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import AUTO_VOXELS, gpus_for, place
from ivimkit.errors import DeviceError, InputError, OptionError

B = np.array([0.0, 10, 20, 50, 100, 200, 400, 800])


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets how many GPUs numba finds; None: numba-cuda is not there."""

    def _set(count):
        found = None if count is None else SimpleNamespace()
        gpus = [SimpleNamespace(name=f"GPU of kind {number}") for number in range(count or 0)]
        fake = SimpleNamespace(is_available=lambda: bool(count), gpus=gpus)
        load = importlib.import_module
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
        monkeypatch.setattr(
            importlib, "import_module", lambda name: fake if name == "numba.cuda" else load(name)
        )

    return _set


def test_a_gpu_is_taken_by_its_number(machine):
    machine(3)
    assert gpus_for("cpu", 10**9) == ()
    assert gpus_for("cuda", 1) == (0,)
    assert gpus_for("cuda:2", 1) == (2,)
    assert gpus_for("cuda:2,0", 1) == (2, 0)
    assert place.describe((2, 0)) == "cuda:2,0 (GPU of kind 0, GPU of kind 2)"


@pytest.mark.parametrize("count", [None, 0, 1])
def test_auto_takes_a_gpu_for_many_voxels_where_there_is_one(machine, count):
    machine(count)
    assert gpus_for("auto", AUTO_VOXELS - 1) == ()
    assert gpus_for("auto", AUTO_VOXELS) == ((0,) if count else ())


@pytest.mark.parametrize(
    ("count", "device", "message"),
    [
        (None, "cuda", r"device is 'cuda', and the package numba-cuda is not installed.* "
         r"pip install ivimkit\[cuda\], or use device cpu"),
        (0, "cuda:0", "device is 'cuda:0', and there is no NVIDIA GPU.* use device cpu"),
        (2, "cuda:1,2", "there is no GPU 2; this machine has 2, counted from 0"),
    ],
)  # fmt: skip
def test_a_gpu_that_is_not_there(machine, count, device, message):
    machine(count)
    with pytest.raises(DeviceError, match=message):
        ik.fit(np.ones((2, B.size)), B, device=device)
    assert issubclass(DeviceError, InputError)


def test_a_gpu_named_twice(machine):
    machine(2)
    with pytest.raises(OptionError, match="'cuda:1,1', which names a GPU twice; name each once"):
        gpus_for("cuda:1,1", 1)
