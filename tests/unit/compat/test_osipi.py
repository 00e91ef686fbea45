"""The interface of OSIPI's TF2.4 code collection, which is not on any package index."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.compat.osipi import (
    BOUNDS,
    INITIAL_GUESS,
    THRESHOLDS,
    OsipiSegmented,
    OsipiTRR,
    OsipiVarPro,
)
from ivimkit.errors import AcquisitionError, IvimkitWarning, OptionError, ShapeError
from tolerances import CLOSED_FORM, NOISE_FREE, OPTIMUM, SAME_MINIMUM

ALGORITHMS = [OsipiVarPro, OsipiTRR, OsipiSegmented]
FULL = [OsipiVarPro, OsipiTRR]
B = np.array(ik.simulate.B13, dtype=float)
TRUTH = {"f": 0.2, "Dp": 0.03, "D": 1e-3}
# Bounds that no voxel here would choose, as the collection's own tests have them.
SILLY = {"S0": [1.1, 1.3], "f": [0.2, 0.3], "Dp": [0.01, 0.02], "D": [0.0008, 0.0012]}


def signal(S0=1.0):
    return ik.simulate.signals("biexp", [S0, *TRUTH.values()], B)


def noisy(n, snr=25.0, seed=0):
    rng = np.random.default_rng(seed)
    params = np.column_stack(
        [
            np.ones(n),
            rng.uniform(0.05, 0.35, n),
            rng.uniform(0.01, 0.1, n),
            rng.uniform(0.8e-3, 2e-3, n),
        ]
    )
    clean = ik.simulate.signals("biexp", params, B)
    return clean + rng.normal(0.0, 1.0 / snr, clean.shape)


# ------------------------------------------------------------------------------- the interface


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_attributes_of_the_collection(algorithm):
    fit = algorithm(B, None, None, None)
    assert fit.bounds == dict(BOUNDS)
    assert fit.initial_guess == dict(INITIAL_GUESS)
    assert fit.bounds is fit.osipi_bounds
    assert fit.initial_guess is fit.osipi_initial_guess
    assert fit.thresholds is None
    np.testing.assert_array_equal(fit.bvalues, B)
    assert fit.result_keys == ["f", "Dp", "D"]
    assert (fit.required_bvalues, fit.required_bounds, fit.required_bounds_optional) == (
        4,
        False,
        True,
    )
    assert (fit.required_initial_guess, fit.required_initial_guess_optional) == (False, True)
    assert (fit.deep_learning, fit.supervised, fit.stochastic) == (False, False, False)
    assert fit.supported_thresholds == (fit.required_thresholds[1] > 0)
    assert fit.use_bounds == dict.fromkeys(["S0", "f", "Dp", "D"], True)
    assert any(fit.use_initial_guess.values()) == fit.supported_initial_guess
    assert fit.id_author
    assert fit.id_algorithm_type
    assert fit.id_units == "seconds per milli metre squared"


@pytest.mark.parametrize("algorithm", FULL)
def test_one_voxel(algorithm):
    fitted = algorithm(B).ivim_fit(signal())
    assert list(fitted) == ["f", "Dp", "D"]
    assert all(type(value) is float for value in fitted.values())
    assert fitted == pytest.approx(TRUTH, rel=NOISE_FREE)
    # b-values of the call come before those of the constructor.
    assert algorithm(B[:-1]).ivim_fit(signal(), B) == fitted
    assert algorithm().ivim_fit(signal(), list(B)) == fitted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_volume_is_its_voxels(algorithm):
    volume = noisy(6).reshape(2, 3, -1)
    fit = algorithm(B)
    maps = fit.ivim_fit_full_volume(volume)
    for key in fit.result_keys:
        assert maps[key].shape == (2, 3)
    assert fit.ivim_fit(volume[1, 2]) == {key: maps[key][1, 2] for key in maps}
    for other in (
        fit.osipi_fit(volume),
        fit.osipi_fit(volume, B, njobs=1),
        fit.osipi_fit_full_volume(volume, B),
    ):
        for key, values in maps.items():
            np.testing.assert_array_equal(other[key], values)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_scale_of_the_signal_does_not_matter(algorithm):
    volume = noisy(20)
    one, thousand = (algorithm(B).osipi_fit(scale * volume) for scale in (1.0, 1000.0))
    for key, values in one.items():
        np.testing.assert_allclose(thousand[key], values, rtol=SAME_MINIMUM)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_voxel_without_a_fit_is_0(algorithm):
    volume = noisy(4)
    volume[1] = 0.0
    volume[2] = np.nan
    volume[3, 0] = -1.0
    fit = algorithm(B)
    for values in fit.osipi_fit(volume).values():
        assert (values != 0.0).tolist() == [True, False, False, False]
    assert fit.ivim_fit(np.zeros(13)) == {"f": 0.0, "Dp": 0.0, "D": 0.0}
    assert fit.ivim_fit(np.full(13, np.nan)) == {"f": 0.0, "Dp": 0.0, "D": 0.0}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shape", [(), (6,), (3, 2), (3, 1, 2), (2, 1, 3, 1)])
def test_maps_compare_as_the_collection_compares_them(algorithm, shape):
    # Air is NaN in its volumes; one job and several are compared where NaN equals nothing.
    volume = noisy(max(1, int(np.prod(shape)))).reshape(*shape, -1)
    if shape:
        volume[(0,) * len(shape)] = np.nan
    fit = algorithm()
    first = fit.osipi_fit(volume, B, njobs=1)
    others = [fit.osipi_fit(volume, B, njobs=njobs) for njobs in (2, 4, -1)]
    for maps in (*others, fit.osipi_fit_full_volume(volume, B)):
        for key in ("f", "Dp", "D"):
            assert first[key].shape == shape
            assert np.allclose(first[key], maps[key], rtol=0, atol=0)
            assert not shape or first[key][(0,) * len(shape)] == 0.0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_to_be_cited(algorithm):
    fit = algorithm()
    doi = fit.id_ref.removeprefix("https://doi.org/")
    assert f"doi:{doi}" in fit.cite().splitlines()[0]
    assert algorithm.id_ref == fit.id_ref


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_body_part_names_guess_and_bounds(algorithm):
    liver = {"S0": 1.0, "f": 0.2305, "Dp": 0.07002, "D": 0.00109}
    for fit in (
        algorithm(B, initial_guess="liver"),
        algorithm(B, bounds="Liver"),
        algorithm(B, body_part="liver"),
    ):
        assert fit.initial_guess == liver
        assert fit.bounds == {**BOUNDS, "S0": (0.5, 1.5)}
        assert fit.body_part == "liver"
        assert fit.ivim_fit(signal()) == pytest.approx(TRUTH, rel=0.05)
    own = algorithm(B, bounds={"f": [0, 0.5]}, initial_guess="breast malignant")
    assert own.bounds == {**BOUNDS, "S0": (0.5, 1.5), "f": (0.0, 0.5)}
    assert own.initial_guess["D"] == 0.00097
    assert algorithm(B, body_part="brain", initial_guess={"f": 0.3}).initial_guess == {
        **{"S0": 1.0, "f": 0.3, "Dp": 0.01088, "D": 0.00083}
    }
    assert algorithm(B).body_part is None
    for given in ({"initial_guess": "elbow"}, {"body_part": "elbow"}, {"bounds": "elbow"}):
        with pytest.raises(
            OptionError, match="unknown body part 'elbow'; expected one of brain, kid"
        ):
            algorithm(B, **given)


def test_a_body_part_is_where_trr_begins():
    volume = noisy(200, snr=12.0)
    named = OsipiTRR(B, initial_guess="liver").osipi_fit(volume)
    given = OsipiTRR(B, bounds={"S0": (0.5, 1.5)}, initial_guess={"Dp": 0.07002}).osipi_fit(volume)
    np.testing.assert_array_equal(named["Dp"], given["Dp"])
    assert (named["Dp"] != OsipiTRR(B, bounds={"S0": (0.5, 1.5)}).osipi_fit(volume)["Dp"]).any()


def test_the_file_that_lists_ivimkit_in_the_collection(repository, monkeypatch):
    page = (repository / "docs" / "migration.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```text\n(from ivimkit\.compat\.osipi.*?)```", page, flags=re.S)
    assert len([line for line in code.splitlines() if line]) <= 5
    (name,) = re.findall(r"^class (\w+)", code, flags=re.M)
    base = collection(monkeypatch)
    file = ModuleType(f"src.standardized.{name}")
    exec(compile(code, "migration.md", "exec"), file.__dict__)
    monkeypatch.setitem(sys.modules, file.__name__, file)
    fit = base(
        B,
        bounds={"S0": [0.7, 1.3], "f": [0, 0.1], "Dp": [0.01, 0.2], "D": [0, 0.005]},
        algorithm=name,
    )
    assert type(fit).__name__ == name
    assert isinstance(fit, base)
    assert fit.bounds["f"] == (0.0, 0.1)
    assert fit.osipi_fit(signal(S0=500.0), B)["f"] == 0.1
    assert base(algorithm=name).osipi_fit(signal(), B) == pytest.approx(TRUTH, rel=NOISE_FREE)


def collection(monkeypatch):
    """Put a stand-in for the collection in place that makes an algorithm as OsipiBase does."""

    class OsipiBase:
        def __init__(
            self,
            bvalues=None,
            thresholds=None,
            bounds=None,
            initial_guess=None,
            algorithm=None,
            **options,
        ):
            self.bvalues = None if bvalues is None else np.asarray(bvalues)
            self.thresholds = None if thresholds is None else np.asarray(thresholds)
            self.bounds = bounds or {
                "S0": [0.5, 1.5],
                "f": [0, 1.0],
                "Dp": [0.005, 0.2],
                "D": [0, 0.005],
            }
            self.initial_guess = initial_guess or {"S0": 1, "f": 0.1, "Dp": 0.01, "D": 0.001}
            if algorithm:
                self.__class__ = getattr(sys.modules[f"src.standardized.{algorithm}"], algorithm)
                self.__init__(
                    bvalues=self.bvalues,
                    thresholds=self.thresholds,
                    bounds=self.bounds,
                    initial_guess=self.initial_guess,
                    **options,
                )

        def osipi_fit(self, data, bvalues=None, njobs=1):
            raise AssertionError("the loop over voxels is not needed")

    for name in ("src", "src.standardized", "src.wrappers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module = ModuleType("src.wrappers.OsipiBase")
    module.OsipiBase = OsipiBase
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return OsipiBase


# ------------------------------------------------------------ bounds, initial guess, thresholds


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bounds_are_kept(algorithm):
    maps = algorithm(B, bounds=SILLY).osipi_fit(noisy(60))
    for key, values in maps.items():
        assert (values >= SILLY[key][0]).all(), key
        assert (values <= SILLY[key][1]).all(), key
    free = algorithm(B).osipi_fit(noisy(60))
    assert any((values < SILLY[key][0]).any() for key, values in free.items())


def test_bounds_of_S0_are_shares_of_the_signal_at_the_lowest_b():
    # With S0 held too high, the missing signal is taken for perfusion.
    high = OsipiVarPro(B, bounds={"S0": (1.2, 1.3)}).ivim_fit(signal(S0=800.0))
    assert high["f"] > 0.3
    assert OsipiVarPro(B, bounds={"S0": (0.9, 1.1)}).ivim_fit(signal(S0=800.0)) == pytest.approx(
        TRUTH, rel=NOISE_FREE
    )


def test_bounds_that_are_left_out_are_the_collections():
    assert OsipiTRR(bounds={"f": [0, 0.5]}).bounds == {**BOUNDS, "f": (0.0, 0.5)}


def test_an_initial_guess_decides_which_minimum_trr_finds():
    volume = noisy(400, snr=12.0)
    wide = {"S0": [0.0, 10.0], "f": [0, 1], "Dp": [2e-3, 0.2], "D": [0, 0.005]}
    low, high = (
        OsipiTRR(B, bounds=wide, initial_guess={"Dp": start}).osipi_fit(volume)
        for start in (3e-3, 0.15)
    )
    apart = ~np.isclose(low["Dp"], high["Dp"], rtol=0.1)
    assert 1 < apart.sum() < 200
    best = OsipiVarPro(B, bounds=wide).osipi_fit(volume)
    for found in (low, high):
        assert (cost(best, volume) <= OPTIMUM * cost(found, volume))[apart].all()


def test_varpro_does_not_depend_on_the_initial_guess_and_says_so():
    volume = noisy(50)
    guessed = OsipiVarPro(B, initial_guess={"S0": 1, "f": 0.5, "Dp": 0.2, "D": 0.002})
    assert guessed.use_initial_guess == dict.fromkeys(["S0", "f", "Dp", "D"], False)
    for key, values in guessed.osipi_fit(volume).items():
        np.testing.assert_array_equal(OsipiVarPro(B).osipi_fit(volume)[key], values)


def cost(maps, volume):
    """The least squares over S0 with the other parameters given."""
    params = np.stack([np.ones_like(maps["f"]), maps["f"], maps["Dp"], maps["D"]], axis=-1)
    shape = ik.simulate.signals("biexp", params, B)
    S0 = (shape * volume).sum(axis=-1) / (shape**2).sum(axis=-1)
    return ((S0[..., None] * shape - volume) ** 2).sum(axis=-1)


def test_thresholds_choose_the_lines():
    volume = noisy(10)
    for given, method in (
        (OsipiSegmented(B, 150), ik.methods.Segmented(b_split=150)),
        (OsipiSegmented(B, [300]), ik.methods.Segmented(b_split=300)),
        (OsipiSegmented(B), ik.methods.Segmented(b_split=200)),
        (OsipiTRR(B, [40, 600]), ik.methods.TRR(split_b_S0=40, split_b_D=600)),
        (OsipiTRR(B, np.array([300])), ik.methods.TRR(split_b_S0=300, split_b_D=300)),
        (OsipiTRR(B), ik.methods.TRR()),
    ):
        model = ik.models.get("biexp").with_bounds(
            S0=BOUNDS["S0"], f=BOUNDS["f"], D_star=BOUNDS["Dp"], D=BOUNDS["D"]
        )
        direct = ik.fit(volume / volume[:, :1], B, model=model, method=method)
        maps = given.osipi_fit(volume)
        np.testing.assert_allclose(maps["D"], direct.maps["D"], rtol=CLOSED_FORM)


def test_thresholds_that_have_no_effect_are_told():
    with pytest.warns(
        IvimkitWarning, match=r"thresholds \[300.0\] have no effect: .*Segmented"
    ) as w:
        OsipiVarPro(B, [300])
    assert w[0].filename == __file__
    # The collection hands its default to every algorithm.
    assert OsipiVarPro(B, np.array([200])).thresholds == list(THRESHOLDS)


@pytest.mark.parametrize(
    ("algorithm", "thresholds", "message"),
    [
        (OsipiSegmented, [200, 400], "there are 2 thresholds; expected 0 to 1"),
        (OsipiTRR, [10, 200, 400], "there are 3 thresholds; expected 0 to 2"),
        (OsipiTRR, [400, 200], r"thresholds are \[400.0, 200.0\]; expected the one for S0 first"),
        (OsipiTRR, [], r"thresholds are \[\]; expected a list"),
        (OsipiSegmented, "high", "thresholds are 'high'; expected b-values"),
        (OsipiSegmented, -5, "b_split is -5"),
    ],
)
def test_thresholds_that_cannot_be(algorithm, thresholds, message):
    with pytest.raises(OptionError, match=message):
        algorithm(B, thresholds)


# --------------------------------------------------------------------------------------- units


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bvalues_in_another_unit_are_an_error(algorithm):
    message = r"the highest b-value is 0.8; expected s/mm\^2, .* multiply by 1000"
    with pytest.raises(AcquisitionError, match=message):
        algorithm(B / 1000)
    with pytest.raises(AcquisitionError, match=message):
        algorithm().ivim_fit(signal(), B / 1000)
    with pytest.raises(AcquisitionError, match="there are no b-values; expected them in the con"):
        algorithm().ivim_fit(signal())


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (
            {"D": [0, 1e-9]},
            r"the upper bound of D is 1e-09; expected mm\^2/s, .* m\^2/s \(0.001\)",
        ),
        ({"Dp": [5e-9, 2e-7]}, r"the upper bound of Dp is 2e-07; .* m\^2/s \(0.2\)"),
        ({"D": [0, 5]}, r"the upper bound of D is 5; .* divide by 1000 .* um\^2/ms .*: 0.005"),
        ({"Dp": [5, 200]}, "the upper bound of Dp is 200; .* divide by 1000 .*: 0.2"),
        ({"S0": [700, 1300]}, r"bounds of S0 are \[700.0, 1300.0\]; expected numbers around 1"),
        ({"S0": [0, 1e-3]}, r"bounds of S0 are \[0.0, 0.001\]"),
        ({"f": [0, 70]}, "f is to be between 0 and 70"),
        ({"D": [0.02, 0.05], "Dp": [1e-3, 0.01]}, r"D from 0.02 and D\* up to 0.01"),
        ({"Dstar": [0, 1]}, "bounds has keys 'Dstar'; expected some of S0, f, Dp, D"),
        ({"f": 0.5}, r"bounds of f are 0.5; expected two numbers, \[lower, upper\]"),
        ([[0, 0, 0.005, 0.7], [0.005, 1, 0.2, 1.3]], "bounds is of type list; .* Older versions"),
    ],
)
def test_bounds_that_cannot_be(bounds, message):
    with pytest.raises(OptionError, match=message):
        OsipiVarPro(B, bounds=bounds)


@pytest.mark.parametrize(
    ("guess", "message"),
    [
        ({"D": 1e-9}, r"initial_guess of D is 1e-09; expected mm\^2/s, .* \(0.001\)"),
        ({"Dp": 20.0}, "initial_guess of Dp is 20; .*: 0.02"),
        ({"f": -0.1}, "initial_guess of f is -0.1; expected a number >= 0"),
        ({"S0": np.nan}, "initial_guess of S0 is nan"),
        ({"f": "much"}, "initial_guess of f is 'much'"),
        ({"Ds": 0.01}, "initial_guess has keys 'Ds'"),
        ([0.001, 0.1, 0.01, 1], "initial_guess is of type list; expected a mapping of S0, f, Dp"),
    ],
)
def test_guesses_that_cannot_be(guess, message):
    with pytest.raises(OptionError, match=message):
        OsipiTRR(B, initial_guess=guess)


def test_a_guess_outside_the_bounds_is_moved_inside():
    narrow = OsipiTRR(B, bounds={"Dp": [0.02, 0.05]}, initial_guess={"Dp": 0.2})
    assert narrow.ivim_fit(signal()) == pytest.approx(TRUTH, rel=NOISE_FREE)


def test_signals_must_fit():
    with pytest.raises(ShapeError, match=r"the signals have shape \(2, 13\); expected one voxel"):
        OsipiVarPro(B).ivim_fit(noisy(2))
    with pytest.raises(ShapeError, match="has 12 volumes on its last axis and there are 13"):
        OsipiVarPro(B).ivim_fit(signal()[1:])
