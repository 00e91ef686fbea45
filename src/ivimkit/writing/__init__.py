"""Atomic writing of files, alone or in groups: all output of ivimkit goes through here."""

from ivimkit.writing.exchange import finish, located
from ivimkit.writing.files import Files
from ivimkit.writing.folder import write_file, write_files, write_folder
from ivimkit.writing.scratch import ScratchArray, check_scratch, scratch_folder
from ivimkit.writing.target import check_file, check_replaceable, full_path, told_as_input

__all__ = [
    "Files",
    "ScratchArray",
    "check_file",
    "check_replaceable",
    "check_scratch",
    "finish",
    "full_path",
    "located",
    "scratch_folder",
    "told_as_input",
    "write_file",
    "write_files",
    "write_folder",
]
