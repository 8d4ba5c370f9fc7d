// Loads koffi, the foreign function interface by which Sandport calls what Node does not offer.
// Only its addon is used, without its JavaScript: in a sandbox the file lies beside the agent's bundle.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export type Native = (...args: unknown[]) => number;

export interface Library {
  /** @param prototype a C declaration, with koffi's `_Out_` and `_Inout_` where a parameter is written to */
  func(prototype: string): Native;
}

interface Koffi {
  load(path: null): Library;
  proto(prototype: string): unknown;
  pointer(type: unknown): unknown;
  /** @returns a pointer for C to call `callback` by, on this thread, for as long as the process lives */
  register(callback: () => void, type: unknown): unknown;
  /** Of the last call. */
  errno(): number;
}

let loaded: Koffi | undefined;

/** @throws Error when this platform has no addon */
export function loadKoffi(): Koffi {
  loaded ??= load();
  return loaded;
}

function load(): Koffi {
  const addon: { exports: unknown } = { exports: {} };
  process.dlopen(addon, findAddon());
  return addon.exports as Koffi;
}

function findAddon(): string {
  const beside = join(dirname(process.argv[1] ?? ''), 'koffi.node');
  if (existsSync(beside)) return beside;
  const platform = `linux-${process.arch}`;
  const main = createRequire(import.meta.url).resolve(`@koromix/koffi-${platform}`);
  return join(dirname(main), platform.replace('-', '_'), 'koffi.node');
}
