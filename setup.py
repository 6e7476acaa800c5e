"""The one part that is compiled; everything else is said in pyproject.toml.

Optional: without a C compiler the exact engine runs on numpy alone, with the same bits. Sums and
products must not be fused: every operation rounds once.
"""

from setuptools import Extension, setup

KERNELS = Extension(
    "neurons.engine._kernels",
    ["neurons/engine/_kernels.c"],
    extra_compile_args=["-O3", "-ffp-contract=off"],
    optional=True,
)
setup(ext_modules=[KERNELS])
