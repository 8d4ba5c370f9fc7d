// How long a trivial command takes through the client, the gateway and the agent, beside the same login shell started by a
// Node program inside the same sandbox, in turns.
import { Sandbox } from 'sandport';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { SAMPLES_HEADING, Samples } from '../support/samples.ts';

const runtimes = ['runsc', 'runc'] as const;
/** Commands of each kind in a round, one after the other. */
const BATCH = 10;
const TITLE_WIDTH = 46;
const PROGRAM = '/tmp/spawn.js';
/** Prints the milliseconds that each took, as a JSON array. */
const BARE_SPAWN = `
const { spawn } = require('node:child_process');
const run = () => new Promise((resolve) => {
  const started = performance.now();
  const child = spawn('/bin/bash', ['-l', '-c', 'true'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  child.stderr.resume();
  child.on('close', () => resolve(performance.now() - started));
});
(async () => {
  await run();
  const times = [];
  while (times.length < ${BATCH}) times.push(await run());
  console.log(JSON.stringify(times));
})();
`;

export async function measureCommands(rounds: number, signal: AbortSignal): Promise<void> {
  console.log(`agent, commands: ${rounds} rounds of ${BATCH} in turns, milliseconds\n`);
  for (const runtime of runtimes) {
    await using server = await SandportServer.start(runtime);
    const sandbox = await Sandbox.create(server.options);
    await sandbox.files.write(PROGRAM, BARE_SPAWN);
    const [ours, bare] = [new Samples(), new Samples()];
    // The first round fills the page cache, and is not counted.
    for (let round = 0; round <= rounds; round++) {
      signal.throwIfAborted();
      for (let run = 0; run < BATCH; run++) {
        const started = performance.now();
        await sandbox.commands.run('true');
        if (round > 0) ours.add(performance.now() - started);
      }
      const { stdout } = await sandbox.commands.run(`node ${PROGRAM}`);
      if (round > 0) for (const time of JSON.parse(stdout) as number[]) bare.add(time);
    }
    console.log(`${runtime.padEnd(TITLE_WIDTH + 2)}${SAMPLES_HEADING}`);
    console.log(`  ${"sandbox.commands.run('true')".padEnd(TITLE_WIDTH)}${ours}`);
    console.log(`  ${'"bash -l -c true" by Node inside the sandbox'.padEnd(TITLE_WIDTH)}${bare}`);
    console.log(`  medians, ours to Node's: ${(ours.median / bare.median).toFixed(2)}\n`);
  }
}
