// Runs a program compiled for WASI as if it were a native one:
//
//     node --experimental-wasi-unstable-preview1 wasi.mjs PROGRAM.wasm [ARGUMENT ...]
//
// Node before version 20 needs the flag.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const args = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args, returnOnExit: true });
// Called directly from WebAssembly, the functions of Node 20 and later crash once the program's memory has grown
// (nodejs/node issue 53087): hence a function of JavaScript around each.
const imports = Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...given) => call(...given)]);
const module = await WebAssembly.compile(await readFile(args[0]));
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: Object.fromEntries(imports) });
process.exitCode = wasi.start(instance);
