"""A DICOM node: receives studies, fits them by rules and sends the results to a PACS.

Everything the node knows is a file in its folder, and each step is one renaming: whatever ends the
process, the next one goes on from there.
"""

from ivimkit.node.service import Node
from ivimkit.node.settings import NodeSettings, load_settings

__all__ = ["Node", "NodeSettings", "load_settings"]
