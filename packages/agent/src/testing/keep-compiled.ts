// Loaded into the agent of a test before its own code (`node --import`). It is ended by a signal, at which Node does not write
// down what it compiled, as it does at other ends where `NODE_COMPILE_CACHE` asks for that: each agent would compile all of it.
import { flushCompileCache } from 'node:module';

const LOADED_MS = 1000;

setTimeout(flushCompileCache, LOADED_MS).unref();
