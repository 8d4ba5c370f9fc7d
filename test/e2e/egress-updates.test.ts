// When rules are in force: at once, whatever the sandbox does, and before anything runs.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const EVERYTHING = '0.0.0.0/0';
/** For how long a call waits for an agent that does not answer. */
const AGENT_WAIT_MS = 1500;
/** Of such a call, on a machine that runs other tests too. Without a bound of its own it would be half a minute. */
const ANSWERED_MS = 10_000;
/** Of a program that sends all the time. */
const SILENT_MS = 500;

interface Arrivals {
  /** How many packets have arrived so far. */
  count(): number;
  /** When the last has, by `performance.now()`. */
  lastAt(): number;
}

/** `send.py HOST WORD [tcp]`: a datagram every 5 ms with the word in it; with `tcp` connections too, one after the other. */
const SEND = `
import socket, sys, threading, time
host, word = sys.argv[1], sys.argv[2].encode() * 16
def connect():
    while True:
        try:
            with socket.create_connection((host, 7001), timeout=1) as one:
                one.sendall(word); one.recv(1)
        except OSError: time.sleep(0.01)
if len(sys.argv) > 3: threading.Thread(target=connect, daemon=True).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try: udp.sendto(word, (host, 7003))
    except OSError: pass
    time.sleep(0.005)
`;

for (const runtime of runtimes) {
  describe(`updates of rules under ${runtime}`, () => {
    const keepMemory = runtime === 'runsc';
    let server: SandportServer;
    let outside: Outside;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime, ['--nameserver', outside.nameserver]);
    });
    after(async () => {
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    /** Counts what arrives outside of a program that sends all the time. */
    async function send(sandbox: Sandbox, word: string, more = ''): Promise<Arrivals> {
      const [datagrams, connections] = [outside.watch(word), outside.watchConnections([7001])];
      await sandbox.files.write('/tmp/send.py', SEND);
      await sandbox.commands.run(`python3 /tmp/send.py ${outside.hosts[0]} ${word} ${more}`, {
        background: true,
        timeoutMs: 0,
      });
      await waitFor('packets arrive', () => datagrams.count() > 20 && (more === '' || connections.count() > 0));
      return {
        count: () => datagrams.count() + connections.count(),
        lastAt: () => Math.max(datagrams.lastAt(), connections.lastAt()),
      };
    }

    /** When the last has arrived, by `performance.now()`. */
    async function untilSilent(arrivals: Arrivals): Promise<number> {
      let [count, lastAt] = [-1, 0];
      await waitFor('nothing arrives', () => {
        const [now, at] = [arrivals.count(), arrivals.lastAt()];
        // What is read quickest of the same packet is nearest.
        [count, lastAt] = [now, now === count ? Math.min(lastAt, at) : at];
        return performance.now() - at > SILENT_MS;
      });
      return lastAt;
    }

    test('what is denied ends at once, also where root inside keeps the agent from answering', async () => {
      const sandbox = await Sandbox.create(server.options);
      const arrived = await send(sandbox, 'UPDA', 'tcp');
      const stopped = outside.watch('STOP');
      // Where the agent looks after certificates; gVisor lets root stop it besides.
      const command = `for file in /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/sandport-egress.crt
        do rm -f $file; mkfifo $file; done; ${keepMemory ? 'kill -STOP 1' : 'true'}
        while sleep 0.1; do printf %0.sSTOP {1..16} > /dev/udp/${outside.hosts[0]}/7003; done`;
      const told = sandbox.commands.run(`sudo bash -c '${command}'`, { user: 'root', background: true, timeoutMs: 0 });
      // Where the agent is stopped before it has told of the start, nothing answers until the sandbox ends.
      told.catch(() => undefined);
      await waitFor('that is done', () => stopped.count() > 0);
      const before = arrived.count();
      await waitFor('it still sends', () => arrived.count() > before);
      const begun = performance.now();
      await sandbox.updateNetwork({
        denyOut: [EVERYTHING],
        rules: { 'allowed.test': [{ transform: { headers: { 'X-Key': 'one' } } }] },
      });
      const answeredAt = performance.now();
      const atAnswer = arrived.count();
      const silence = answeredAt - (await untilSilent(arrived));
      assert.equal(arrived.count(), atAnswer);
      assert(answeredAt - begun < ANSWERED_MS);
      // An agent that is stopped was waited for, and that in silence.
      if (keepMemory) assert(silence > AGENT_WAIT_MS / 2, `it was silent ${silence} ms before the answer`);
      assert.deepEqual((await sandbox.getInfo()).network?.denyOut, [EVERYTHING]);
      await sandbox.kill();
    });

    test('a sandbox that is resumed sends nothing before its rules are in force', async () => {
      const sandbox = await Sandbox.create(server.options);
      const arrived = await send(sandbox, 'RESU');
      await sandbox.updateNetwork({ denyOut: [EVERYTHING] });
      await untilSilent(arrived);
      await sandbox.pause({ keepMemory });
      const before = arrived.count();
      const again = await Sandbox.connect(sandbox.sandboxId, server.options);
      await waitFor('the program goes on, or another has begun', async () => {
        if (!keepMemory) await again.commands.run(`timeout 1 python3 /tmp/send.py ${outside.hosts[0]} RESU; true`);
        const { stdout } = await again.commands.run(`pgrep -fc 'send.p[y]'; true`);
        return !keepMemory || Number(stdout) > 0;
      });
      assert.equal(arrived.count(), before);
      await again.updateNetwork({});
      if (!keepMemory) await send(again, 'RESU');
      await waitFor('it would have arrived', () => arrived.count() > before);
      await again.kill();
    });

    test('what comes out of a snapshot sends nothing before its own rules are in force', {
      skip: !keepMemory,
    }, async () => {
      const origin = await Sandbox.create(server.options);
      const arrived = await send(origin, 'SNAP');
      const { snapshotId } = await origin.createSnapshot();
      await origin.kill();
      // It is answered before its processes have ended.
      await waitFor('it is gone', () => readdirSync(join(server.data, 'bundles')).length === 0);
      const before = arrived.count();
      const made = await Sandbox.create(snapshotId, { ...server.options, allowInternetAccess: false });
      const { stdout } = await made.commands.run(`pgrep -fc 'send.p[y]'; true`);
      assert(Number(stdout) > 0, 'the program goes on');
      assert.equal(arrived.count(), before);
      await made.updateNetwork({});
      await waitFor('it would have arrived', () => arrived.count() > before);
      await made.kill();
      await Sandbox.deleteSnapshot(snapshotId, server.options);
    });
  });
}
