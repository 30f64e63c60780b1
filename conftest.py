"""The search for doctests imports every module: without Triton, not those written in it."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("triton") else ["skflow/kernels/triton_*.py"]
