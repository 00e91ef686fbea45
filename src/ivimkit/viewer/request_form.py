"""What a request of the page may hold, as structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from ivimkit.errors import OptionError
from ivimkit.io.json_form import converted

__all__ = ["Number", "Position", "RefitRequest", "checked"]

_LONGEST = 200
"""Characters of a reason: it may hold what the request held."""

Whole = Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)]
Number = Whole | float
Position = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Form = TypeVar("Form")


class RefitRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Another fit of one voxel: what is to be different from that of a result.

    Parameters
    ----------
    voxel : list of int
        Position, x, y, z.
    result : str
        Number of the result.
    method : str, optional
        Name of the method; by default that of the result.
    options : dict
        Options of the method, see `ivimkit.viewer.method_options`.
    bounds : dict
        Lower and upper bound by parameter; an upper bound of null is none.
    fixed : dict
        Values by parameter.
    model : str, optional
        Name of the model; by default that of the result.
    """

    voxel: tuple[Position, Position, Position]
    result: str = "0"
    method: str | None = None
    options: dict[str, Any] = {}
    bounds: dict[str, tuple[Number, Number | None]] = {}
    fixed: dict[str, Number] = {}
    model: str | None = None


def checked(content: Mapping[str, Any], form: type[Form], what: str = "the request") -> Form:
    """Return the content of a request as a struct.

    Parameters
    ----------
    content : mapping
        What JSON gave.
    form : type
        The struct.
    what : str
        What the message calls the content.

    Raises
    ------
    OptionError
        If a field is missing, unknown or of another kind; the message names it.

    Examples
    --------
    >>> from ivimkit.viewer.request_form import RefitRequest, checked
    >>> checked({"voxel": [1, 2, 3]}, RefitRequest).result
    '0'
    """
    try:
        return converted(content, form)
    except (ValueError, RecursionError) as error:
        why = str(error)
        why = why if len(why) <= _LONGEST else f"{why[:_LONGEST]}..."
        raise OptionError(f"{what} cannot be used: {why}") from None
