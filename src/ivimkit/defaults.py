"""What a fit takes where nobody says otherwise, in one place for the commands and for Python."""

from __future__ import annotations

__all__ = ["USUAL_METHOD"]

USUAL_METHOD = "varpro"
"""Name of the method of a fit for which none is named."""
