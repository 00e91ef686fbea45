"""A recipe that ends the process that loads a scan, as a lack of memory does."""

import os
import signal


class KillerRecipe:
    """Stands for a scan that no process survives."""

    def check_process(self):
        pass

    def load(self, subject):
        os.kill(os.getpid(), signal.SIGKILL)
