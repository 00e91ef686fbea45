"""``python -m ivimkit`` is the command line."""

from ivimkit.cli import main

if __name__ == "__main__":
    main()
