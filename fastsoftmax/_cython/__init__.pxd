# The Cython layer: the files that _core.pyx includes, and the declarations of the C kernels.
