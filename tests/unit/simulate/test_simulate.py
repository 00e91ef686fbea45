import dataclasses
import math

import numpy as np
import pytest

from ivimkit import Acquisition, models, organs, simulate
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.extend import D_STAR, Compartment, D, F, Parameter, SignalModel
from ivimkit.extend.diffusion_tensor import fractional_anisotropy
from ivimkit.simulate.abdomen import ABDOMEN
from ivimkit.simulate.brain import BRAIN
from ivimkit.simulate.tissue_values import tissues_of_model
from plain_kernels import interpreted

B = np.array([0.0, 10, 50, 200, 800])

FORMULA = 1e-12
"""Relative: the compiled exponential against numpy's."""

SINGLE = 1e-5
"""Relative: phantoms are float32, with a few sums."""

MOMENT = 0.02
"""Relative: means and deviations of 40 000 draws, five standard errors and more."""


class TestSignals:
    def test_is_the_bi_exponential(self):
        got = simulate.signals("biexp", [1000, 0.2, 0.05, 1e-3], B)
        want = 1000 * (0.2 * np.exp(-0.05 * B) + 0.8 * np.exp(-1e-3 * B))
        np.testing.assert_allclose(got, want, rtol=FORMULA)

    def test_parameters_by_name_are_broadcast(self):
        truth = {"D": [1e-3, 2e-3], "S0": 1.0, "f": 0.1, "D_star": 0.02}
        got = simulate.signals(models.get("biexp"), truth, B)
        assert got.shape == (2, 5)
        np.testing.assert_array_equal(got[1], simulate.signals("biexp", [1, 0.1, 0.02, 2e-3], B))

    @pytest.mark.parametrize("model", models.names())
    def test_every_model(self, model):
        params = [parameter.start for parameter in models.get(model).parameters]
        table = {**dict.fromkeys(models.get(model).variables, 1.0), "b": B}
        got = simulate.signals(model, params, table)
        assert got.shape == (5,)
        assert (np.diff(got) < 0).all()

    def test_missing_parameter(self):
        with pytest.raises(OptionError, match=r"parameters are S0, D; expected S0, f, D_star, D"):
            simulate.signals("biexp", {"S0": 1, "D": 1e-3}, B)

    def test_wrong_number_of_parameters(self):
        with pytest.raises(ShapeError, match=r"shape \(2,\); expected \(\.\.\., 4\): S0, f"):
            simulate.signals("biexp", [1, 2], B)


class TestNoise:
    signal = np.full((200, 200), 100.0)

    def test_same_seed_same_bits(self):
        first = simulate.add_noise(self.signal, sigma=5, seed=3)
        assert np.array_equal(first, simulate.add_noise(self.signal, sigma=5, seed=3))
        assert not np.array_equal(first, simulate.add_noise(self.signal, sigma=5, seed=4))

    def test_is_drawn_first_and_applied_by_a_deterministic_twin(self):
        draws = simulate.draw_noise(self.signal.shape, seed=3)
        want = simulate.apply_noise(self.signal, draws, sigma=5, kind="rician")
        got = simulate.add_noise(self.signal, sigma=5, seed=3)
        np.testing.assert_array_equal(got, want)

    def test_gaussian_moments(self):
        noise = simulate.add_noise(self.signal, sigma=5, kind="gaussian") - self.signal
        assert abs(noise.mean()) < MOMENT * 5
        np.testing.assert_allclose(noise.std(), 5, rtol=MOMENT)

    def test_rician_second_moment(self):
        noisy = simulate.add_noise(np.full((200, 200), 6.0), sigma=5)
        assert (noisy >= 0).all()
        np.testing.assert_allclose((noisy**2).mean(), 6**2 + 2 * 5**2, rtol=MOMENT)

    def test_rician_background_is_rayleigh(self):
        noisy = simulate.add_noise(np.zeros((200, 200)), sigma=5)
        np.testing.assert_allclose(noisy.mean(), 5 * np.sqrt(np.pi / 2), rtol=MOMENT)

    def test_snr_refers_to_the_highest_signal_of_voxels_with_any(self):
        signal = np.array([[1000.0, 100.0], [500.0, 50.0], [0.0, 0.0]])
        got = simulate.add_noise(signal, snr=30, kind="gaussian", seed=1)
        np.testing.assert_array_equal(
            got, simulate.add_noise(signal, sigma=25.0, kind="gaussian", seed=1)
        )

    def test_the_signal_is_not_changed(self):
        before = self.signal.copy()
        simulate.add_noise(self.signal, sigma=5)
        np.testing.assert_array_equal(self.signal, before)

    @pytest.mark.parametrize("given", [{}, {"sigma": 1.0, "snr": 2.0}])
    def test_needs_one_of_sigma_and_snr(self, given):
        with pytest.raises(OptionError, match="expected exactly one"):
            simulate.add_noise(self.signal, **given)

    @pytest.mark.parametrize("snr", [0.0, -1.0, np.nan])
    def test_bad_snr(self, snr):
        with pytest.raises(OptionError, match="expected a number > 0 and some signal"):
            simulate.add_noise(self.signal, snr=snr)

    def test_snr_without_signal(self):
        with pytest.raises(OptionError, match="for 0 voxels with signal"):
            simulate.add_noise(np.zeros((2, 3)), snr=30)

    @pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
    def test_bad_sigma(self, sigma):
        with pytest.raises(OptionError, match=r"sigma is .*; expected a number >= 0"):
            simulate.add_noise(self.signal, sigma=sigma)

    def test_unknown_kind(self):
        with pytest.raises(OptionError, match="'poisson'; expected one of gaussian, rician"):
            simulate.add_noise(self.signal, sigma=1, kind="poisson")

    @pytest.mark.parametrize("seed", [-1, 1.5, "a", (1, -2)])
    def test_bad_seed(self, seed):
        with pytest.raises(OptionError, match="expected a whole number >= 0"):
            simulate.draw_noise((2,), seed)

    def test_noise_of_another_shape(self):
        with pytest.raises(ShapeError, match=r"shape \(2, 3\); expected \(2, \.\.\.\)"):
            simulate.apply_noise(np.zeros(4), np.zeros((2, 3)), sigma=1)


@pytest.fixture(scope="module")
def abdomen():
    return simulate.phantom("abdomen", seed=1)


@pytest.fixture(scope="module")
def clean():
    return simulate.phantom("abdomen", shape=(64, 48, 3), snr=None)


class TestPhantom:
    def test_defaults(self, abdomen):
        assert abdomen.dwi.shape == (128, 96, 10)
        assert abdomen.dwi.acquisition.bvals.tolist() == list(simulate.B13)
        assert abdomen.dwi.signal.dtype == np.float32
        assert abdomen.dwi.signal.flags.f_contiguous
        np.testing.assert_array_equal(abdomen.dwi.mask, abdomen.labels > 0)
        assert abdomen.sigma == 25.0

    def test_b_values(self):
        assert len(simulate.B13) == 13
        assert simulate.B21[:5] + simulate.B21[-9:] == (
            *(0, 10, 20, 30, 40),
            *(200, 300, 400, 500, 600, 700, 800, 900, 1000),
        )
        assert len(simulate.B21) == 21

    @pytest.mark.parametrize("kind", simulate.PHANTOMS)
    def test_every_tissue_fills_voxels_alone(self, kind):
        made = simulate.phantom(kind, shape=(128, 96, 10), bvals=[0, 800])
        for name in made.label_names.values():
            assert made.region(name).sum() > 20, name

    def test_tissues_of_the_abdomen(self, abdomen):
        assert set(abdomen.label_names.values()) == {
            "liver",
            "lesion",
            "kidney cortex",
            "kidney medulla",
            "spleen",
            "pancreas",
            "vessel",
            "muscle",
        }

    def test_truth_is_that_of_the_tissue(self, abdomen):
        for tissue in abdomen.tissues:
            inside = abdomen.region(tissue.name)
            for name in ("f", "D_star", "D"):
                want = np.float32(tissue.value(name))
                assert (abdomen.truth[name][inside] == want).all()

    def test_mixed_voxels_have_no_truth(self, clean):
        mixed = clean.dwi.mask & np.isnan(clean.truth["S0"])
        assert mixed.any()
        for name in ("f", "D_star", "D"):
            np.testing.assert_array_equal(np.isnan(clean.truth[name]), np.isnan(clean.truth["S0"]))

    def test_noise_free_signal_of_pure_voxels_is_the_model(self, clean):
        pure = np.isfinite(clean.truth["S0"])
        truth = {name: array[pure].astype(float) for name, array in clean.truth.items()}
        want = simulate.signals("biexp", truth, simulate.B13)
        np.testing.assert_allclose(clean.dwi.signal[pure], want, rtol=SINGLE)

    def test_mixed_voxels_lie_between_their_tissues(self):
        made = simulate.phantom(shape=(64, 48, 3), snr=None, bvals=[0, 800])
        pure = simulate.phantom(shape=(64, 48, 3), snr=None, bvals=[0, 800], partial_volume=1)
        assert np.isfinite(pure.truth["D"][pure.dwi.mask]).all()
        assert made.dwi.signal.max() <= pure.dwi.signal.max() * (1 + SINGLE)
        assert (made.dwi.signal != pure.dwi.signal).any()

    def test_csf_has_no_perfusion(self):
        made = simulate.phantom("brain", shape=(48, 56, 3), snr=None)
        csf = made.region("CSF")
        assert (made.truth["f"][csf] == 0).all()
        assert np.isnan(made.truth["D_star"][csf]).all()
        assert np.isfinite(made.dwi.signal).all()

    def test_same_seed_same_bits(self):
        options = {"shape": (32, 24, 2), "bvals": [0, 100, 800]}
        first, again = (simulate.phantom(seed=5, **options) for _ in range(2))
        other = simulate.phantom(seed=6, **options)
        np.testing.assert_array_equal(first.dwi.signal, again.dwi.signal)
        assert not np.array_equal(first.dwi.signal, other.dwi.signal)

    def test_slices_and_repeats_have_noise_of_their_own(self):
        made = simulate.phantom(shape=(32, 24, 2), bvals=[0, 0, 800])
        air = made.dwi.signal[:3, :3]
        assert not np.array_equal(air[:, :, 0], air[:, :, 1])
        assert not np.array_equal(air[..., 0], air[..., 1])
        assert made.dwi.acquisition.counts.tolist() == [2, 1]

    @pytest.mark.parametrize("noise", simulate.NOISE_KINDS)
    def test_noise_has_the_deviation_asked_for(self, noise):
        options = {"shape": (96, 72, 2), "bvals": [0, 50], "noise": noise}
        noisy, clean = simulate.phantom(snr=50, **options), simulate.phantom(snr=None, **options)
        inside = noisy.region("liver")
        error = (noisy.dwi.signal - clean.dwi.signal)[inside]
        np.testing.assert_allclose(error.std(), 1000 / 50, rtol=5 * MOMENT)

    def test_averages_lower_the_noise(self):
        options = {"shape": (96, 72, 2), "bvals": [0, 50], "snr": 50}
        once, often = simulate.phantom(**options), simulate.phantom(n_averages=4, **options)
        clean = simulate.phantom(**{**options, "snr": None})
        inside = once.region("liver")
        ratio = [(p.dwi.signal - clean.dwi.signal)[inside].std() for p in (once, often)]
        np.testing.assert_allclose(ratio[0] / ratio[1], 2, rtol=5 * MOMENT)

    def test_lesion_is_a_ball_of_32_mm(self):
        made = simulate.phantom(shape=(144, 96, 20), bvals=[0, 800], snr=None)
        volume = (made.labels == 2).sum() * np.prod(made.dwi.geometry.voxel_size)
        np.testing.assert_allclose((6 * volume / np.pi) ** (1 / 3), 32, rtol=0.02)

    def test_liver_is_on_the_patients_right_and_the_spine_at_the_back(self, abdomen):
        def mean_position(name):
            index = np.argwhere(abdomen.region(name)).mean(axis=0)
            return abdomen.dwi.affine[:3, :3] @ index + abdomen.dwi.affine[:3, 3]

        assert mean_position("liver")[0] > 20
        assert mean_position("spleen")[0] < -20
        assert mean_position("kidney cortex")[1] < -20

    @pytest.mark.parametrize("kind", simulate.PHANTOMS)
    def test_places_do_not_depend_on_the_matrix(self, kind):
        volumes = []
        for shape in ((80, 80, 16), (128, 104, 16)):
            made = simulate.phantom(kind, shape=shape, bvals=[0, 800], snr=None)
            counts = np.bincount(made.labels.ravel(), minlength=len(made.tissues) + 1)[1:]
            volumes.append(counts * np.prod(made.dwi.geometry.voxel_size))
        np.testing.assert_allclose(volumes[0], volumes[1], rtol=0.15)

    @pytest.mark.parametrize("kind", simulate.PHANTOMS)
    @pytest.mark.parametrize("shape", [(3, 3, 1), (40, 7, 3), (7, 40, 2), (8, 8, 60)])
    def test_odd_shapes(self, kind, shape):
        made = simulate.phantom(kind, shape=shape, bvals=[0, 800])
        assert made.dwi.shape == shape
        assert made.dwi.n_voxels > 0

    def test_the_brain_of_the_benchmark_is_a_third_of_its_matrix(self):
        made = simulate.phantom("brain", shape=(64, 64, 27), bvals=[0, 800])
        assert 0.33 < made.dwi.mask.mean() < 0.35

    def test_receive_field_is_smooth(self, abdomen):
        field = abdomen.truth["S0"] / 650.0
        field[~abdomen.region("muscle")] = np.nan
        steps = np.abs(np.diff(field, axis=0)) / field[1:]
        assert np.nanmax(steps) < 0.03
        assert 1.1 < np.nanmax(field) / np.nanmin(field) < 2.5

    @pytest.mark.parametrize("anatomy", [ABDOMEN, BRAIN])
    def test_every_tissue_says_where_its_values_are_from(self, anatomy):
        assert all(tissue.source for tissue in anatomy.tissues)
        assert sum("doi:10." in tissue.source for tissue in anatomy.tissues) >= 2

    def test_unknown_tissue(self, abdomen):
        with pytest.raises(OptionError, match="no tissue 'heart'; expected one of liver, lesion"):
            abdomen.region("heart")

    def test_frozen(self, abdomen):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
            abdomen.sigma = 1.0

    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ({"kind": "knee"}, OptionError, "no phantom 'knee'; expected one of abdomen, brain"),
            ({"shape": (4, 4)}, ShapeError, r"shape is \(4, 4\); expected three"),
            ({"shape": (4, 0, 4)}, ShapeError, r"shape is \(4, 0, 4\); expected three"),
            ({"snr": 0}, OptionError, "snr is 0; expected a number > 0, or None"),
            ({"noise": "none"}, OptionError, "noise is 'none'; expected one of"),
            ({"n_averages": 0}, OptionError, "n_averages is 0; expected a whole number >= 1"),
            ({"partial_volume": 0}, OptionError, "partial_volume is 0; expected"),
            ({"seed": -1}, OptionError, "expected a whole number >= 0"),
            ({"bvals": [0, 0.8]}, AcquisitionError, "s/mm"),
            ({"model": "quadexp"}, OptionError, "'quadexp'"),
            ({"bvals": {"echo_time": [50, 60]}}, OptionError, "there is no b among echo_time"),
            ({"bvals": {"b": [0, 800], "gx": 1}}, AcquisitionError, "has gx of the directions"),
            (
                {"bvals": {"b": [0, 800], "gx": [1], "gy": 0, "gz": 0}},
                AcquisitionError,
                "gx, gy and gz have 1, 1, 1 values and there are 2 volumes",
            ),
            (
                {"bvals": {"b": [0, 800], "echo_time": [50, 60, 70]}},
                AcquisitionError,
                "echo_time has 3 values and there are 2 volumes",
            ),
        ],
    )
    def test_bad_options(self, given, error, message):
        with pytest.raises(error, match=message):
            simulate.phantom(**{"shape": (16, 12, 1), **given})


def relaxing(b, echo_time, p):
    return math.exp(-b * p[0] - echo_time / p[1])


def along(b, gz, p):
    return math.exp(-b * (p[0] + p[1] * gz * gz))


def made_of(atom, variables, *further, name="mine"):
    """A model of blood and tissue with one atom."""
    blood = (D_STAR, *(dataclasses.replace(p, name=f"{p.name}_blood") for p in further))
    return SignalModel(
        name=name,
        title=name,
        equation="S",
        compartments=(
            Compartment("blood", atom, blood, fraction=F, variables=variables),
            Compartment("tissue", atom, (D, *further), variables=variables),
        ),
        ascending=(("D", "D_star"),),
    )


T2 = Parameter("T2", "T2", "ms", 15, 300, 50, role="time", typical=(30, 80), scale="log")
EXTRA = Parameter("E", "E", "mm^2/s", 0.0, 2e-3, 5e-4, typical=(2e-4, 8e-4))


class TestPhantomOfAnyModel:
    @pytest.mark.parametrize("kind", simulate.PHANTOMS)
    @pytest.mark.parametrize("name", models.names())
    def test_every_tissue_is_possible_typical_and_different(self, name, kind):
        model = models.get(name)
        tissues = tissues_of_model({"abdomen": ABDOMEN, "brain": BRAIN}[kind].tissues, model)
        for tissue in tissues:
            for parameter in model.parameters:
                value = tissue.value(parameter.name)
                blood = model.compartment_of(parameter.name) is not model.compartments[-1]
                absent = np.isnan(value) and tissue.name == "CSF" and blood
                assert absent or parameter.lower <= value <= parameter.upper, parameter.name
            assert sum(tissue.value(name) for name in model.fractions) < 1.0
            for low, high in model.ascending:
                assert not tissue.value(low) >= tissue.value(high)
        for parameter in model.parameters:
            if parameter.role == "orientation":
                continue
            values = [v for t in tissues if np.isfinite(v := t.value(parameter.name))]
            assert len(set(values)) > len(values) // 2, parameter.name

    def test_values_of_the_literature_stay_and_others_say_where_they_are_from(self):
        kurtosis = simulate.phantom(shape=(8, 6, 1), model="kurtosis").tissues
        for tissue, known in zip(kurtosis, ABDOMEN.tissues, strict=True):
            assert {name: tissue.value(name) for name in known.values} == known.values
            assert 0.0 < tissue.value("K") <= 2.0
            assert tissue.source.endswith("; K: chosen from the typical range of model kurtosis")
        assert tissues_of_model(ABDOMEN.tissues, models.get("biexp")) == ABDOMEN.tissues

    def test_values_of_other_models_are_those_of_the_organ_and_of_a_parameter_like_it(self):
        liver = ABDOMEN.tissues[0]
        three = tissues_of_model([liver], models.get("triexp").for_organ("liver"))[0]
        for name in ("f_fast", "D_fast", "f_inter", "D_inter"):
            assert three.value(name) == organs.get("liver").further[name]
        # Without the split of the organ, a rate beyond its bounds is not taken.
        assert tissues_of_model([liver], models.get("triexp"))[0].value("D_inter") <= 25e-3
        for name, parameter in (("tensor", "MD"), ("stretched", "DDC")):
            like = tissues_of_model([liver], models.get(name))[0]
            assert like.value(parameter) == liver.value("D")
        made = tissues_of_model(ABDOMEN.tissues, models.get("tensor"))
        names = models.get("tensor").names[3:]
        found = {t.name: fractional_anisotropy(*(t.value(n) for n in names)) for t in made}
        assert found["liver"] < FORMULA
        assert found["muscle"] == pytest.approx(0.3)

    def test_bounds_of_the_model_hold(self):
        narrow = models.get("biexp").with_bounds(f=(0.05, 0.1)).with_fixed(D_star=0.02)
        for tissue in tissues_of_model(BRAIN.tissues, narrow):
            assert 0.05 <= tissue.value("f") <= 0.1
            assert tissue.value("D_star") == 0.02

    def test_fractions_leave_something_and_rates_keep_their_order(self):
        model = models.get("triexp").with_bounds(f_fast=(0.7, 1), f_inter=(0.7, 1))
        model = model.with_bounds(D=(0, 0.02), D_inter=(3e-4, 1e-3))
        for tissue in tissues_of_model(ABDOMEN.tissues, model):
            assert tissue.value("f_fast") + tissue.value("f_inter") <= 0.9 + SINGLE
            assert tissue.value("D") <= tissue.value("D_inter") <= tissue.value("D_fast")

    def test_noise_free_signal_is_that_of_the_truth_at_every_echo_time(self):
        b, te = np.tile([0.0, 100, 800], 2), np.repeat([50.0, 90], 3)
        model = made_of(relaxing, ("b", "echo_time"), T2)
        table = {"b": b, "echo_time": te}
        # Without compiling the model.
        with interpreted():
            made = simulate.phantom("brain", shape=(24, 28, 1), model=model, bvals=table, snr=None)
        same = Acquisition(b, variables={"echo_time": te})
        assert made.dwi.acquisition == same
        assert list(made.truth) == ["S0", "f", "D_star", "T2_blood", "D", "T2"]
        pure = made.region("white matter")
        S0, f, fast, long, D_, short = (
            v[pure].astype(float)[:, None] for v in made.truth.values()
        )
        blood, tissue = np.exp(-b * fast - te / long), np.exp(-b * D_ - te / short)
        want = S0 * (f * blood + (1 - f) * tissue)
        np.testing.assert_allclose(made.dwi.signal[pure], want, rtol=SINGLE)
        csf = made.region("CSF")
        assert (made.truth["f"][csf] == 0).all()
        assert np.isnan(made.truth["T2_blood"][csf]).all()

    def test_directions(self):
        model = made_of(along, ("b", "gz"), EXTRA)
        table = {"b": [0, 800, 800], "gx": [0, 1, 0], "gy": 0, "gz": [0, 0, -2]}
        with interpreted():
            made = simulate.phantom(shape=(16, 12, 1), model=model, bvals=table, snr=None)
        assert made.dwi.acquisition.bvecs.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, -2]]
        pure = made.region("liver")
        S0, f, fast, more_fast, D_, more = (v[pure].astype(float) for v in made.truth.values())
        across = S0 * (f * np.exp(-800 * fast) + (1 - f) * np.exp(-800 * D_))
        axial = f * np.exp(-800 * (fast + more_fast)) + (1 - f) * np.exp(-800 * (D_ + more))
        want = np.stack([S0, across, S0 * axial], axis=-1)
        np.testing.assert_allclose(made.dwi.signal[pure], want, rtol=SINGLE)

    @pytest.mark.parametrize(
        ("protocol", "missing"),
        [
            ([0, 800], "the protocol has b: echo_time, gz are missing"),
            ({"b": [0, 800], "echo_time": 50}, "has b, echo_time: gz is missing"),
            ({"b": [0, 800], "echo_time": "long", "gx": 0, "gy": 0, "gz": 1}, "echo_time is"),
        ],
    )
    def test_all_missing_variables_are_named(self, protocol, missing):
        model = made_of(relaxing, ("b", "echo_time", "gz"), T2)
        with pytest.raises(AcquisitionError, match=missing):
            simulate.phantom(shape=(8, 6, 1), model=model, bvals=protocol)


@pytest.mark.parametrize(
    ("model", "name", "gaussian"), [("kurtosis", "K", 0), ("stretched", "alpha", 1)]
)
def test_fluid_diffuses_freely_in_every_model(model, name, gaussian):
    made = simulate.phantom("brain", model=model, shape=(24, 28, 1), snr=None)
    values = {tissue.name: tissue.value(name) for tissue in made.tissues}
    assert values.pop("CSF") == gaussian
    assert gaussian not in values.values()
