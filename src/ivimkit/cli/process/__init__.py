"""The process around a command: errors, signals, exit codes."""
