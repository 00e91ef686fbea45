"""Connections: the gaps of pynetdicom that are closed."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from ivimkit.node.connections import _Checkpoint
from node_parts import wait_for


def test_a_thread_that_passes_the_checkpoint_has_said_so():
    """Otherwise whoever clears it next takes the thread for paused, and loses the answer to it."""
    association = SimpleNamespace(_is_paused=True)
    checkpoint = _Checkpoint(association)
    assert checkpoint.wait()
    assert not association._is_paused


def test_a_thread_that_was_late_stays_at_the_checkpoint():
    """It saw the event, but somebody cleared it before the thread could say so."""
    association = SimpleNamespace(_is_paused=True)
    checkpoint = _Checkpoint(association)
    passed = threading.Event()
    # The thread has seen the event, and is about to say so.
    checkpoint._step.acquire()
    thread = threading.Thread(target=lambda: (checkpoint.wait(), passed.set()))
    thread.start()
    threading.Event.clear(checkpoint)
    checkpoint._step.release()
    assert not passed.wait(0.05)
    assert association._is_paused
    checkpoint.set()
    wait_for(passed.is_set)
    thread.join()
    assert not association._is_paused


def test_a_checkpoint_that_is_not_opened_ends_with_its_time():
    checkpoint = _Checkpoint(SimpleNamespace(_is_paused=True))
    checkpoint.clear()
    assert not checkpoint.wait(0.01)
