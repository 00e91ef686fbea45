"""What was measured: signal, b-values and directions, geometry and regions."""
