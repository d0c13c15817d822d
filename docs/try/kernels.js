// The C kernels, compiled for WebAssembly.

/**
 * Starts the module.  This function uses nothing from outside of it, so its text can be sent to a worker.
 *
 * @param {BufferSource} bytes  the module (try.c, csrc/ and tests/c/bits.c)
 */
async function startKernels(bytes) {
  let printed = "";
  let memory;
  const decoder = new TextDecoder();

  // What the C library asks of its system: printing, and an end.
  const system = {
    fd_write(file, parts, count, written) {
      const view = new DataView(memory.buffer);
      let total = 0;
      for (let i = 0; i < count; i++) {
        const [start, length] = [0, 4].map((at) => view.getUint32(parts + 8 * i + at, true));
        printed += decoder.decode(new Uint8Array(memory.buffer, start, length), { stream: true });
        total += length;
      }
      view.setUint32(written, total, true);
      return 0;
    },
    fd_fdstat_get: () => 8, // "no such file": the output is no terminal
    fd_seek: () => 70, // "cannot seek"
    fd_close: () => 0,
    proc_exit(status) {
      throw new Error(`the program ended with status ${status}: ${printed}`);
    },
  };
  const { instance } = await WebAssembly.instantiate(bytes, { wasi_snapshot_preview1: system });
  const call = instance.exports;
  memory = call.memory;
  call._initialize();

  // The arrays of try.c by their numbers, and what they hold.
  const arrays = {
    logits: [0, Float32Array],
    before: [1, Float32Array],
    kept: [2, Float32Array],
    after: [3, Float32Array],
    entropies: [4, Float64Array],
    draws: [5, BigInt64Array],
  };
  /** An array as it lies in the module's memory: valid until the next call. */
  const view = (name, length) => {
    const [number, Type] = arrays[name];
    return new Type(memory.buffer, call.array_of(number), length);
  };
  const copy = (name, length) => view(name, length).slice();

  return {
    /**
     * A row at a temperature, through the filters, and draws from it.
     *
     * @param {Float32Array} logits
     * @param {{temperature: number, top_k: number, top_p: number, min_p: number, seed: bigint, size: number}} settings
     * @returns `status`, that of fastsoftmax.h, and where it is 0 the arrays
     */
    evaluate(logits, { temperature, top_k, top_p, min_p, seed, size }) {
      const n = logits.length;
      if (!call.reserve(n, size)) return { status: 3 };
      view("logits", n).set(logits);
      const status =
        call.evaluate(n, temperature, top_k, top_p, min_p) ||
        call.draw(n, temperature, top_k, top_p, min_p, seed, size);
      if (status) return { status };
      return {
        status,
        before: copy("before", n),
        kept: copy("kept", n),
        after: copy("after", n),
        entropies: copy("entropies", 2),
        draws: copy("draws", size),
      };
    },

    /** Runs tests/c/bits.c; what it prints, and whether it found no fault. */
    check(every, seed) {
      printed = "";
      const passed = call.check_kernels(every, seed) === 0;
      return { passed, printed };
    },
  };
}
