#!/usr/bin/env node
// Runs the command line under the pinned Node, whichever Node (18 or later) the machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.js', import.meta.url));
const pinned = fileURLToPath(new URL(`../../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url));
if (!existsSync(pinned)) {
  console.error('sandport: the pinned Node is missing; run "npm run setup" in the clone first');
  process.exit(1);
}
const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
// The terminal sends its signals to the whole foreground group; others are handed on here.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => {});
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? code : 128 + constants.signals[signal];
});
