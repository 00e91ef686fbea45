"""The viewer: a page in the browser that shows a result voxel by voxel."""

from ivimkit.viewer.open_viewer import Viewer, view

__all__ = ["Viewer", "view"]
