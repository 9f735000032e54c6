"""Kernels: neural tangent kernels, path kernels, mean field, linearised dynamics."""
