"""Portfolio features, point in time: defined as expressions, computed by whole-column kernels."""
