# What _core.pyx is made of, in one namespace.
