"""The names that the command line repeats are those of the library."""

from __future__ import annotations

from ivimkit import methods, models, organs, planning, priors, simulate, uncertainty
from ivimkit.cli.commands.fit import MapFormat
from ivimkit.cli.commands.simulate import Kind, Noise
from ivimkit.cli.options.compare_options import Criterion
from ivimkit.cli.options.design_options import Criterion as DesignCriterion
from ivimkit.cli.options.design_options import MagnitudeNoise
from ivimkit.cli.options.plugin_names import (
    complete,
    method_names,
    model_names,
    organ_names,
    prior_names,
    uncertainty_names,
)
from ivimkit.cli.options.repeat_options import Statistic
from ivimkit.cli.options.scan_options import Average, BUnit, Images
from ivimkit.cli.options.shared_options import Precision, Unreliable
from ivimkit.engine import PRECISIONS
from ivimkit.figures.reliability import UNRELIABLE
from ivimkit.fitting.comparison import CRITERIA
from ivimkit.io.dicom.series_choice import IMAGES
from ivimkit.io.result_files import FORMATS
from ivimkit.io.scan_bvals import B_UNITS
from ivimkit.quality.repeat_values import STATISTICS
from ivimkit.scan.dwi import AVERAGES


def test_choices_are_those_of_the_library():
    assert set(Average) == set(AVERAGES)
    assert set(BUnit) == set(B_UNITS)
    assert tuple(Images) == IMAGES
    assert tuple(Criterion) == CRITERIA
    assert tuple(DesignCriterion) == planning.CRITERIA
    assert set(MagnitudeNoise) == set(simulate.NOISE_KINDS)
    assert tuple(Precision) == PRECISIONS
    assert tuple(Unreliable) == UNRELIABLE
    assert tuple(MapFormat) == FORMATS
    assert tuple(Statistic) == STATISTICS
    assert set(Kind) == set(simulate.PHANTOMS)
    assert set(Noise) == {*simulate.NOISE_KINDS, "none"}


def test_names_found_without_importing():
    assert model_names() == models.names()
    assert method_names() == methods.names()
    assert uncertainty_names() == uncertainty.names()
    assert organ_names() == organs.names()
    assert prior_names() == priors.names()


def test_completion():
    assert complete(model_names)("m") == ["monoexp"]
    assert complete(organ_names)("p") == ["prostate", "pancreas"]
