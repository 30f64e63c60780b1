"""Builds the compiled kernels; all else is in pyproject.toml.

Without a working C compiler the installation goes on without them: skflow then computes the same,
slower.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("skflow/kernels/c")
# What lets loops become vector code. Nothing that reorders sums or assumes finite numbers.
UNIX_FLAGS = ["-O2", "-ftree-vectorize", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
THREADS = ["-pthread"]
GCC_FLAGS = ["-fvect-cost-model=dynamic", "-ffp-contract=fast"]


class BuildKernels(build_ext):
    """Knows the compilers' flags."""

    def build_extensions(self):
        """Add the flags of the compiler at hand."""
        if self.compiler.compiler_type == "unix":
            gcc = "clang" not in " ".join(self.compiler.compiler_so)
            for extension in self.extensions:
                extension.extra_compile_args = UNIX_FLAGS + THREADS + (GCC_FLAGS if gcc else [])
                extension.extra_link_args = THREADS
        super().build_extensions()


setup(
    ext_modules=[
        Extension(
            "skflow.kernels._native",
            [str(SOURCES / "module.c")],
            depends=[str(header) for header in sorted(SOURCES.glob("*.h"))],
            optional=True,
            py_limited_api=True,  # one binary for every Python from 3.11 on
        )
    ],
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
