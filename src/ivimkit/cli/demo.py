"""x"""
def demo() -> None:
    """Plot."""
