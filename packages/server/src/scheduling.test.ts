import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('scheduling.ts', import.meta.url));
const COMMAND = fileURLToPath(new URL('host/run-command.ts', import.meta.url));

/** In a process of its own, which is preferred to the end of its life. */
async function run(program: string): Promise<unknown> {
  const imports = `import { preferThisProcess } from ${JSON.stringify(MODULE)};
import { runCommand } from ${JSON.stringify(COMMAND)};
import { spawnSync } from 'node:child_process';
import { getPriority } from 'node:os';`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${imports}\n${program}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(await text(child.stdout));
}

test('the process goes before others, and what it starts does not', async () => {
  const seen = await run(`
    const before = getPriority();
    const preferred = preferThisProcess();
    const nice = (text) => Number(text.trim());
    const own = getPriority();
    const command = nice(await runCommand('nice', []));
    const background = nice(await runCommand('sh', ['-c', 'sleep 0.2; nice'], { background: true }));
    const forked = nice(spawnSync('nice').stdout.toString());
    const below = nice(await runCommand('sh', ['-c', 'sh -c nice']));
    console.log(JSON.stringify({ before, preferred, own, command, background, forked, below }));
  `);
  assert.deepEqual(seen, { before: 0, preferred: true, own: -7, command: 0, background: 10, forked: 0, below: 0 });
});
