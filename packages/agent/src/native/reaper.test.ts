import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AgentClient } from '../testing/agent-client.ts';
import { initOf, listeningPort, makeRoot } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Why this machine cannot run the test; undefined when it can. */
function obstacle(): string | undefined {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs root and unshare(1)';
  }
}

test('as the first process the agent leaves no zombies, and still knows how its own commands end', {
  skip: obstacle() ?? false,
}, async () => {
  using root = makeRoot();
  const args = [
    ...['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, MAIN],
    ...['--port', '0', '--host', '127.0.0.1', '--root', root.path],
  ];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = `http://127.0.0.1:${await listeningPort(child)}`;
    assert.equal((await fetch(`${url}/init`, { method: 'POST', body: JSON.stringify(initOf(root.path)) })).status, 204);
    const client = new AgentClient(url);
    const orphans = 'for i in 1 2 3 4 5; do (setsid sleep 0.05 &); done; exit 6';
    const ends = await Promise.all(Array.from({ length: 10 }, () => client.shell(orphans)));
    assert.deepEqual(new Set(ends.map(({ end }) => end?.exitCode)), new Set([6]));
    await until('the orphans are waited for', async () => {
      // One process besides the agent and this shell would be an orphan, dead or alive.
      const { stdout } = await client.shell('set -- /proc/[0-9]*; echo $#');
      return Number(stdout) === 2;
    });
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});
