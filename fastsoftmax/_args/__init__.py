"""What the arguments of the public functions become: arrays, filters, uniforms and keys."""
