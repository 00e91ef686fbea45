"""Portable bits: the same code on all processors with AVX2, asked for in time."""

import json
import os
import subprocess
import sys

import pytest

import ivimkit as ik
from ivimkit import portable_bits
from ivimkit.errors import OptionError

# A sum whose order the compiler may choose, and a product that it may fuse with it.
COMPUTED = """
import hashlib, json
{before}
import numba, numpy as np
from ivimkit.kernels.exponential import exp
from ivimkit.portable_bits import cpu_target, has_portable_bits

@numba.njit("f8(f8[::1], f8)", fastmath=True)
def decays(b, rate):
    total = 0.0
    for one in b:
        total += exp(-one * rate) * one
    return total

rates = np.random.default_rng(1).uniform(1e-4, 0.1, 200)
sums = np.array([decays(np.linspace(0.0, 1000.0, 77), rate) for rate in rates])
print(json.dumps(dict(
    sha=hashlib.sha256(sums.tobytes()).hexdigest(),
    target=cpu_target(),
    tuple=numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[1:],
    wide="zmm" in "".join(decays.inspect_asm().values()),
    portable=has_portable_bits(),
)))
"""


def computed(before="", **variables):
    """What a fresh process computes."""
    keep = {k: v for k, v in os.environ.items() if k not in portable_bits.VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", COMPUTED.format(before=before)],
        env={**keep, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


pytestmark = pytest.mark.skipif(
    portable_bits.platform.machine() not in ("x86_64", "AMD64"), reason="needs an x86-64 processor"
)


def test_code_is_that_of_any_processor_with_avx2():
    asked = computed("import ivimkit; ivimkit.use_portable_bits()")
    assert asked["target"] == "x86-64-v3"
    assert asked["tuple"] == ["x86-64-v3", portable_bits.VARIABLES["NUMBA_CPU_FEATURES"]]
    assert asked["portable"]
    assert not asked["wide"]
    # Tuned for another processor, and told by the environment only.
    other = computed(**portable_bits.VARIABLES | {"NUMBA_CPU_NAME": "haswell"})
    assert other["target"] == "haswell"
    assert other["sha"] == asked["sha"]


def test_a_result_says_what_its_code_was_compiled_for():
    result = ik.fit([9.0, 5.0, 3.0, 1.0], [0, 50, 400, 800], model="monoexp", method="loglinear")
    assert result.provenance.cpu_target == portable_bits.cpu_target() != ""


def test_too_late_is_an_error(monkeypatch):
    for name in portable_bits.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OptionError, match="asked for too late: numba has been loaded"):
        portable_bits.use_portable_bits()
    # An environment that says so, without a numba that was loaded with it, does not count.
    for name, text in portable_bits.VARIABLES.items():
        monkeypatch.setenv(name, text)
    assert not portable_bits.has_portable_bits()


def test_other_processors_and_environments_are_refused(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    with pytest.raises(OptionError, match=r"NUMBA_CPU_NAME is 'generic'.*Unset it"):
        portable_bits.use_portable_bits()
    monkeypatch.setattr(portable_bits.platform, "machine", lambda: "aarch64")
    with pytest.raises(OptionError, match="of the kind aarch64; expected x86-64"):
        portable_bits.use_portable_bits()
    monkeypatch.undo()
    monkeypatch.setattr(portable_bits, "_FEATURES", ("avx2", "avx10"))
    with pytest.raises(OptionError, match="does not have avx10; expected AVX2"):
        portable_bits.use_portable_bits()
