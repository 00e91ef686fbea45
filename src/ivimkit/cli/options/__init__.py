"""The meaning of the options of commands."""
