"""Rule: which scans are fitted, how, what is written, and who gets it."""

from __future__ import annotations

import operator
import re
from fnmatch import fnmatchcase

import msgspec

from ivimkit.errors import OptionError
from ivimkit.node.inspection import FoundScan

__all__ = ["FIT_OPTIONS", "KINDS", "Rule", "When", "first_match"]

FIT_OPTIONS = (
    "model",
    "method",
    "option",
    "b_split",
    "organ",
    "bounds",
    "fix",
    "start",
    "adc_bvalues",
    "prior",
    "estimate",
    "labels",
    "noise",
    "coils",
    "robust",
    "uncertainty",
    "sigma",
    "mask",
    "bmin",
    "bmax",
    "bvals",
    "average",
    "tolerance",
    "strict",
)
"""Keys of ``fit``: options of ``ivimkit dicom run``, - written as _."""

KINDS = ("mr", "pm", "seg", "sr", "sc")
"""What can be written, see `ivimkit.io.save_dicom`."""

_DRAWN = "seg"

_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "": operator.eq,
}
_COUNT = re.compile(r"\s*(>=|<=|>|<|=|)\s*(\d{1,4})\s*")

_Value = str | float | int | bool | tuple[str, ...]


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scans that a rule is for; what is left out does not matter.

    Texts are compared without regard to case, ``*`` stands for anything, ``|`` separates
    alternatives.

    Parameters
    ----------
    description, protocol, body_part, manufacturer, station : str, optional
        Series Description, Protocol Name, Body Part Examined, Manufacturer, Station Name.
    peer : str, optional
        Name of the peer that sent the study.
    b_values : str, optional
        How many different b-values there are: ``">=4"``.
    """

    description: str | None = None
    protocol: str | None = None
    body_part: str | None = None
    manufacturer: str | None = None
    station: str | None = None
    peer: str | None = None
    b_values: str | None = None

    def check(self, rule: str) -> None:
        """Raise OptionError if a part of it cannot be."""
        if self.b_values is not None and not _COUNT.fullmatch(self.b_values):
            raise OptionError(
                f"b_values of {rule} is {self.b_values!r}; expected how many b-values there are, "
                'like ">=4"'
            )

    def fits(self, scan: FoundScan, peers: tuple[str, ...]) -> bool:
        """Return whether a scan that these peers sent is one of those meant."""
        texts = ("description", "protocol", "body_part", "manufacturer", "station")
        return (
            all(_matches(getattr(self, name), getattr(scan, name)) for name in texts)
            and (self.peer is None or any(_matches(self.peer, peer) for peer in peers))
            and self._fits_count(len(scan.b_values))
        )

    def _fits_count(self, number: int) -> bool:
        found = None if self.b_values is None else _COUNT.fullmatch(self.b_values)
        return found is None or _COMPARISONS[found[1]](number, int(found[2]))


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with the scans of one kind.

    Parameters
    ----------
    name : str
        For status and logs; by default its number.
    when : When
        Which scans; by default all.
    fit : dict
        Options of the fit, like ``{method = "bayes", organ = "liver"}``.
    write : tuple of str
        What is written: mr, pm, seg, sr, sc.
    send_to : tuple of str, optional
        Names of peers; by default whoever sent the study, if it can receive.
    drop_incomplete : bool
        Whether a scan is fitted without the volumes that are still incomplete after ``force_s``;
        otherwise the job fails.
    keep_result : bool
        Whether the maps are also kept as NIfTI, in the folder of the job, for ``ivimkit view``.
    """

    name: str = ""
    when: When = When()
    fit: dict[str, _Value] = {}
    write: tuple[str, ...] = ("mr",)
    send_to: tuple[str, ...] | None = None
    drop_incomplete: bool = False
    keep_result: bool = False

    def check(self) -> None:
        """Raise OptionError if a part of it cannot be."""
        where = f"rule {self.name!r}"
        self.when.check(where)
        _check_names(self.fit, FIT_OPTIONS, f"fit of {where} has no option")
        if self.fit.get("labels", _DRAWN) != _DRAWN:
            raise OptionError(
                f"labels of {where} is {self.fit['labels']!r}; expected {_DRAWN!r}, for the "
                "Segmentations that come with a study"
            )
        if not self.uses_regions and {"seg", "sr"} & {*self.write}:
            raise OptionError(
                f"{where} writes seg or sr, which describe regions; expected labels = {_DRAWN!r} "
                "in fit, for the Segmentations that come with a study"
            )
        _check_names(self.write, KINDS, f"write of {where} has no kind")
        if not self.write:
            raise OptionError(
                f"write of {where} is empty; expected one or more of {', '.join(KINDS)}"
            )

    @property
    def uses_regions(self) -> bool:
        """Whether the Segmentations of a study belong to its scans."""
        return "labels" in self.fit

    def options(self) -> list[str]:
        """Return the options of the fit as words of a command line.

        Examples
        --------
        >>> from ivimkit.node.rules import Rule
        >>> Rule(fit={"b_split": 150, "strict": True, "fix": ("D_star=0.02",)}).options()
        ['--b-split=150', '--strict', '--fix=D_star=0.02']
        """
        words = []
        for name, value in self.fit.items():
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                words += [option] if value else []
            else:
                values = value if isinstance(value, tuple) else (value,)
                words += [f"{option}={one}" for one in values]
        return words


def first_match(rules: tuple[Rule, ...], scan: FoundScan, peers: tuple[str, ...]) -> Rule | None:
    """Return the first rule that is for a scan; None if there is none."""
    return next((rule for rule in rules if rule.when.fits(scan, peers)), None)


def _matches(pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    return any(
        fnmatchcase(text.strip().lower(), one.strip().lower()) for one in pattern.split("|")
    )


def _check_names(given: object, valid: tuple[str, ...], what: str) -> None:
    for name in given:  # type: ignore[attr-defined]
        if name not in valid:
            raise OptionError(f"{what} {name!r}; expected one of {', '.join(valid)}")
