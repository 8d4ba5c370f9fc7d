// Rules that change under what goes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type CommandHandle, Sandbox } from 'e2b';
import { HeldConnections } from '../support/held-connections.ts';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

const CONNECTIONS = 1000;

for (const runtime of runtimes) {
  describe(`changed rules under ${runtime}`, () => {
    let server: SandportServer;
    let outside: Outside;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime);
    });
    after(async () => {
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    test('a connection that is denied later is cut, and a stream of packets from outside too', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create(server.options);
      const streams = await Promise.all([
        stream(sandbox, `exec 3<>/dev/tcp/${first}/7000; cat <&3`),
        stream(sandbox, `exec 3<>/dev/tcp/${second}/7000; cat <&3`),
        stream(sandbox, `exec 3<>/dev/udp/${first}/7002; echo hello >&3; cat <&3`),
      ]);
      const [denied, allowed, packets] = streams;
      for (const { lines } of streams) await waitFor('it runs', () => lines() > 5);
      await sandbox.updateNetwork({ allowOut: [second], denyOut: [`${first}/32`] });
      await assert.rejects(denied!.handle.wait(), { name: 'CommandExitError' }, 'the command ends with its connection');
      // What came before may be told after it.
      await waitFor('the other goes on, and no packet comes in any more', async () => {
        const [before, silent] = [allowed!.lines(), packets!.lines()];
        await waitFor('the other goes on', () => allowed!.lines() > before + 20);
        return packets!.lines() === silent;
      });
      await sandbox.kill();
    });

    test('changes of rules under a thousand connections lose none that is allowed', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create(server.options);
      const held = await HeldConnections.open(sandbox, first, { count: CONNECTIONS, protocol: 'echo' });
      await waitFor('all are open', () => held.counts.alive === CONNECTIONS, 60_000);
      for (let round = 0; round < 10; round++) {
        await sandbox.updateNetwork({ allowOut: [first], denyOut: round % 2 ? ['0.0.0.0/0'] : [second] });
      }
      const { exchanged } = held.counts;
      await waitFor('all carry data', () => held.counts.exchanged > exchanged + 2 * CONNECTIONS, 60_000);
      assert.deepEqual([held.counts.alive, held.counts.ended], [CONNECTIONS, 0]);
      await sandbox.updateNetwork({ denyOut: [first] });
      await waitFor('all are cut', () => held.counts.ended === CONNECTIONS, 60_000);
      await held.close();
      await sandbox.kill();
    });

    test('rules that another program removes from the packet filter are in force again, and what they allow goes on', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create({ ...server.options, network: { denyOut: [second] } });
      const held = await HeldConnections.open(sandbox, first, { count: 20, protocol: 'echo' });
      await waitFor('all are open', () => held.counts.alive === 20);
      const tables = (): string => execFileSync('nft', ['-j', 'list', 'chains'], { encoding: 'utf8' });
      // In the network of this test alone.
      execFileSync('nft', ['flush', 'ruleset']);
      assert.doesNotMatch(tables(), /through_machine/);
      await waitFor('the table is there again', () => tables().includes('through_machine'));
      const { exchanged } = held.counts;
      await waitFor('all carry data', () => held.counts.exchanged > exchanged + 40, 60_000);
      assert.deepEqual([held.counts.alive, held.counts.ended], [20, 0]);
      const get = async (host: string): Promise<string> =>
        (await sandbox.commands.run(`curl --silent --max-time 4 http://${host}/ || echo "exit $?"`)).stdout.trim();
      assert.equal(await get(first), `outside ${first}`);
      assert.match(await get(second), /^exit/);
      assert.match(server.log(), /packet filter put in force again/);
      await held.close();
      await sandbox.kill();
    });

    test('rules stay in force when the server is killed, and after it has started again', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create({ ...server.options, network: { denyOut: [first] } });
      const tries = `for host in ${first} ${second}; do
        curl --silent --max-time 1 --output /dev/null http://$host/ && echo $host; done`;
      await sandbox.files.write('/tmp/try.sh', repeat(0.2, tries));
      await sandbox.commands.run('bash /tmp/try.sh > /tmp/reached', { background: true, timeoutMs: 0 });
      await server.crash();
      await server.launch();
      const again = await Sandbox.connect(sandbox.sandboxId, server.options);
      await waitFor('it goes on', async () => (await again.files.read('/tmp/reached')).split('\n').length > 20);
      const output = await again.files.read('/tmp/reached');
      assert(!output.includes(first), output);
      await again.updateNetwork({ denyOut: [second] });
      const reached = await again.commands.run(`curl --silent --max-time 4 http://${first}/`);
      assert.equal(reached.stdout, `outside ${first}`);
      await again.kill();
    });
  });
}

async function stream(
  sandbox: Sandbox,
  script: string,
): Promise<{ readonly handle: CommandHandle; readonly lines: () => number }> {
  let count = 0;
  const handle = await sandbox.commands.run(`bash -c '${script}; exit 9'`, {
    background: true,
    onStdout: (text) => {
      count += text.split('\n').length - 1;
    },
  });
  return { handle, lines: () => count };
}
