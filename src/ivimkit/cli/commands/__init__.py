"""The commands, one file each: options in, a job done, an exit code out."""
