"""Atomic writing of files, alone or in groups: all output of ivimkit goes through here."""

from ivimkit.writing.exchange import finish, located
from ivimkit.writing.files import Files
from ivimkit.writing.folder import write_file, write_files, write_folder
from ivimkit.writing.target import check_file, check_replaceable, full_path, told_as_input

__all__ = [
    "Files",
    "check_file",
    "check_replaceable",
    "finish",
    "full_path",
    "located",
    "told_as_input",
    "write_file",
    "write_files",
    "write_folder",
]
