"""x"""
def methods() -> None:
    """Plot."""
