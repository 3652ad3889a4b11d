"""The node of one peer."""

import os

# OpenBLAS splits a product by its threads, which it counts by the CPUs that it finds; with another split the
# last bits differ. One thread gives the same sums and models under every CPU limit. It reads this when numpy
# is loaded, and nothing in the package is imported before this file.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
