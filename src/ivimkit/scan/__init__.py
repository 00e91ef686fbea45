"""What was measured: the signal, its b-values and directions, its place and its regions."""
