// The events of a sandbox's life: what the API tells of them, also after its end, and what webhooks get.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { processesOfSandboxes, runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

interface Event {
  readonly id: string;
  readonly type: string;
  readonly timestamp: string;
  readonly sandboxId: string;
  readonly sandboxExecutionId: string;
  readonly eventData: {
    readonly kill_reason?: string;
    readonly sandbox_metadata?: object;
    readonly set_timeout?: string;
    readonly network?: boolean;
    readonly execution?: { started_at: string; execution_time: number; vcpu_count: number; memory_mb: number };
  } | null;
}

const MEMORY_MB = 512;

for (const runtime of runtimes) {
  describe(`events under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      const limits = ['--memory', String(MEMORY_MB), '--warm', '0'];
      server = await SandportServer.start(runtime, [...limits, '--webhook-permit', '127.0.0.1']);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    async function call(method: string, path: string, body?: object): Promise<{ status: number; answer: unknown }> {
      const response = await fetch(`${server.connection.apiUrl}${path}`, {
        method,
        headers: { 'X-API-Key': server.connection.apiKey, 'Content-Type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.status, answer: await response.json() };
    }

    async function eventsOf({ sandboxId }: { sandboxId: string }): Promise<Event[]> {
      const { status, answer } = await call('GET', `/events/sandboxes/${sandboxId}?orderAsc=true&limit=100`);
      assert.equal(status, 200, JSON.stringify(answer));
      return answer as Event[];
    }

    const kinds = (events: readonly Event[]): string[] => events.map(({ type }) => type.split('.').at(-1)!);
    const last = async (sandbox: Sandbox): Promise<Event | undefined> => (await eventsOf(sandbox)).at(-1);
    const killedFor = (sandbox: Sandbox) =>
      waitFor('the end is told', async () => {
        const event = await last(sandbox);
        return event?.type === 'sandbox.lifecycle.killed' ? event.eventData?.kill_reason : undefined;
      });

    test('every step of a life is told in order, also when it is over, and after a crash', async () => {
      const { options } = server;
      const keepMemory = runtime === 'runsc';
      const sandbox = await Sandbox.create({ ...options, metadata: { owner: 'Zoë' }, timeoutMs: 600_000 });
      await sandbox.setTimeout(1_200_000);
      await sandbox.updateNetwork({ allowInternetAccess: false });
      await sandbox.pause({ keepMemory });
      await server.crash();
      await server.launch();
      await sandbox.connect();
      await sandbox.kill();
      const events = await eventsOf(sandbox);
      assert.deepEqual(kinds(events), ['created', 'updated', 'updated', 'paused', 'resumed', 'killed']);
      const [created, moved, network, paused, resumed, killed] = events as [Event, Event, Event, Event, Event, Event];
      for (const event of events) assert.deepEqual(event.eventData?.sandbox_metadata, { owner: 'Zoë' });
      const left = Date.parse(moved.eventData!.set_timeout!) - Date.parse(moved.timestamp);
      assert(Math.abs(left - 1_200_000) < 60_000, `${left}`);
      assert.equal(network.eventData?.network, true);
      const { execution } = paused.eventData!;
      assert.deepEqual([execution?.memory_mb, execution?.vcpu_count], [MEMORY_MB, 2]);
      assert.equal(Date.parse(execution!.started_at) + execution!.execution_time, Date.parse(paused.timestamp));
      assert.equal(killed.eventData?.kill_reason, 'request');
      assert.equal(created.sandboxExecutionId, paused.sandboxExecutionId);
      assert.notEqual(created.sandboxExecutionId, resumed.sandboxExecutionId);
      const times = events.map(({ timestamp }) => Date.parse(timestamp));
      assert.deepEqual(times, times.toSorted(), 'in the order of time');
      assert.equal(new Set(events.map(({ id }) => id)).size, events.length);

      const own = await OwnSandbox.listEvents({ ...options, sandboxId: sandbox.sandboxId, order: 'asc', limit: 3 });
      assert.deepEqual(
        own.map(({ type }) => type),
        ['created', 'updated', 'updated'],
      );
      assert(own[0]?.timestamp instanceof Date);
    });

    test('why a sandbox ended is told: its time, its memory, its processes, a stop that came without warning', async () => {
      const { options } = server;
      const timed = await Sandbox.create(options);
      await timed.setTimeout(0);
      assert.equal(await killedFor(timed), 'timeout');

      const hungry = await Sandbox.create(options);
      const hog = `b = bytearray(${2 * MEMORY_MB} * 1024 * 1024); b[::4096] = b"x" * len(b[::4096])`;
      await hungry.commands.run(`python3 -c '${hog}'`).catch(() => {});
      if (runtime === 'runsc') {
        assert.equal(await killedFor(hungry), 'out_of_memory');
        await assert.rejects(OwnSandbox.getInfo(hungry.sandboxId, options), /it ran out of memory/);
      } else {
        // The kernel ends the program alone, and the sandbox goes on.
        await waitFor('its log tells', async () => {
          const { answer } = await call('GET', `/v2/sandboxes/${hungry.sandboxId}/logs`);
          return (answer as { logs: { message: string }[] }).logs.some(({ message }) => message === 'out of memory');
        });
        // What it used is asked for every few seconds, and whether it runs more often.
        const told = Date.now();
        const later = async () => (await hungry.getMetrics()).filter(({ timestamp }) => timestamp.getTime() > told);
        await waitFor('it has run on for a while', async () => (await later()).length > 1);
        for (const pid of processesOfSandboxes(server.instance)) process.kill(pid, 'SIGKILL');
        assert.equal(await killedFor(hungry), 'exited', 'its later end has another reason');
      }

      const kept = await Sandbox.create(options);
      await server.pause();
      await server.launch();
      const ended = await last(kept);
      assert.equal(ended?.eventData?.kill_reason, 'shutdown');
      await assert.rejects(OwnSandbox.getInfo(kept.sandboxId, server.options), /the server was stopped/);
    });

    test('webhooks get what happens, signed; what is odd is refused', async () => {
      const bodies: Event[] = [];
      const receiver = createServer(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()) as Event);
        response.end();
      });
      await once(receiver.listen(0, '127.0.0.1'), 'listening');
      try {
        const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
        const webhook = {
          ...{ name: 'mine', url, signatureSecret: 'a secret that is not told' },
          events: ['sandbox.lifecycle.created', 'sandbox.lifecycle.killed'],
        };
        const { status, answer } = await call('POST', '/events/webhooks', webhook);
        assert.equal(status, 201);
        const { id } = answer as { id: string };
        const all = JSON.stringify((await call('GET', '/events/webhooks')).answer);
        assert(all.includes(id) && !all.includes('not told'), all);

        const sandbox = await Sandbox.create(server.options);
        await sandbox.setTimeout(60_000);
        await sandbox.kill();
        await waitFor('both came', () => bodies.length >= 2);
        assert.deepEqual(kinds(bodies), ['created', 'killed']);
        assert(bodies.every(({ sandboxId }) => sandboxId === sandbox.sandboxId));
        assert.deepEqual((await eventsOf(sandbox)).at(-1)?.id, bodies.at(-1)?.id);

        const refused = [
          { ...webhook, url: 'http://127.0.0.2/' },
          { ...webhook, url: 'http://169.254.169.254/' },
          { ...webhook, url: 'gopher://example.com' },
          { ...webhook, events: ['sandbox.lifecycle.exploded'] },
          { ...webhook, events: [] },
          { ...webhook, signatureSecret: '' },
          { ...webhook, name: 5 },
          { url },
        ];
        for (const body of refused) {
          assert.equal((await call('POST', '/events/webhooks', body)).status, 400, JSON.stringify(body));
          const changes = JSON.stringify(body) === JSON.stringify({ url }) ? { url: 'x' } : body;
          assert.equal((await call('PATCH', `/events/webhooks/${id}`, changes)).status, 400);
        }
        for (const query of ['limit=0', 'limit=101', 'limit=x', 'offset=-1', 'orderAsc=yes', 'types=created']) {
          assert.equal((await call('GET', `/events/sandboxes?${query}`)).status, 400, query);
        }
        assert.equal((await call('GET', '/events/sandboxes/UP')).status, 400);
        const one = (await call('GET', '/events/sandboxes?limit=1&types=sandbox.lifecycle.killed')).answer as Event[];
        assert.deepEqual(
          one.map((event) => event.id),
          [bodies.at(-1)?.id],
        );
        assert.equal((await call('DELETE', `/events/webhooks/${id}`)).status, 200);
        assert.equal((await call('DELETE', `/events/webhooks/${id}`)).status, 404);
        assert(!server.log().includes('not told'));
      } finally {
        receiver.closeAllConnections();
        receiver.close();
      }
    });
  });
}
