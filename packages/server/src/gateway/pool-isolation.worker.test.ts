// Connections to sandboxes are reused, addresses too: nothing of one sandbox may ever reach another, while sandboxes die
// and are born again on the same addresses under load.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { freePort } from './testing/free-port.ts';
import { HttpOrigin, nextAddress } from './testing/origin.ts';

const SANDBOXES = ['a', 'b', 'c', 'd'];
const REBIRTHS = 120;
const CLIENTS = 12;
const SEED = 20_260_101;

/** An address, its two servers, and the sandbox that has it now, as `id generation`. */
interface Slot {
  readonly address: string;
  occupant: string;
}

let control: FakeControl;
let stack: AsyncDisposableStack;
const slots: Slot[] = [];
let ports: number[];

before(async () => {
  stack = new AsyncDisposableStack();
  control = stack.use(await FakeControl.start([]));
  ports = [await freePort(), await freePort()];
  for (const _ of SANDBOXES) {
    const slot: Slot = { address: nextAddress(), occupant: '' };
    for (const port of ports) {
      // A connection belongs to the sandbox that accepted it, as long as it lives.
      const owners = new WeakMap<Socket, string>();
      const origin = await HttpOrigin.start(
        (incoming, response) => {
          setImmediate(() => response.end(`${owners.get(incoming.socket)} ${port}`));
        },
        slot.address,
        port,
      );
      origin.server.on('connection', (socket) => owners.set(socket, slot.occupant));
      stack.use(origin);
    }
    slots.push(slot);
  }
});

after(() => stack.disposeAsync());

describe('pooled connections', () => {
  it('are never used for another sandbox, start or port', async (t) => {
    t.diagnostic(`seed ${SEED}`);
    const random = fc.sample(fc.nat(), { seed: SEED, numRuns: 200_000 })[Symbol.iterator]();
    const pick = <T>(values: readonly T[]): T => values[random.next().value! % values.length]!;
    /** The newest generation of each sandbox, and where it is. */
    const born = new Map<string, number>();
    const places = new Map<string, Slot>();
    let generation = 0;
    const access = { kind: 'public' } as const;
    const bear = async (sandboxId: string, slot: Slot): Promise<void> => {
      generation++;
      slot.occupant = `${sandboxId} ${generation}`;
      places.set(sandboxId, slot);
      const route = { sandboxId, generation: String(generation), address: slot.address, access };
      await control.apply({ type: 'set-route', route });
      born.set(sandboxId, generation);
    };
    for (const [i, sandboxId] of SANDBOXES.entries()) await bear(sandboxId, slots[i]!);

    let over = false;
    let answers = 0;
    const check = (sandboxId: string, port: number, since: number, body: string): void => {
      const [id, served, at] = body.split(' ');
      assert.equal(id, sandboxId, `another sandbox answered: ${body}`);
      assert.equal(at, String(port), `another port answered: ${body}`);
      assert.ok(Number(served) >= since, `an earlier start answered: ${body}, not ${since}`);
      answers++;
    };
    const overHttp1 = async (): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!over) {
        const sandboxId = pick(SANDBOXES);
        const port = pick(ports);
        const since = born.get(sandboxId)!;
        const answer = await ask(agent, `${port}-${sandboxId}.${DOMAIN}`);
        if (answer !== undefined) check(sandboxId, port, since, answer);
      }
      agent.destroy();
    };
    const overHttp2 = async (session: ClientHttp2Session): Promise<void> => {
      while (!over) {
        const sandboxId = pick(SANDBOXES);
        const port = pick(ports);
        const since = born.get(sandboxId)!;
        const stream = session.request({ ':authority': `${port}-${sandboxId}.${DOMAIN}` });
        let status = 0;
        let body = '';
        stream.on('response', (headers) => {
          status = headers[':status'] ?? 0;
        });
        stream.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        stream.on('error', () => {});
        await new Promise((resolve) => stream.once('close', resolve));
        if (status === 200 && stream.rstCode === 0) check(sandboxId, port, since, body);
      }
    };
    const session = connect(`http://127.0.0.1:${control.port}`);
    await once(session, 'connect');
    const clients = Promise.all([
      ...Array.from({ length: CLIENTS }, overHttp1),
      ...Array.from({ length: CLIENTS }, () => overHttp2(session)),
    ]);
    try {
      for (let i = 0; i < REBIRTHS; i++) {
        const one = pick(SANDBOXES);
        const other = pick(SANDBOXES);
        if (one === other) {
          // The same sandbox starts again where it was.
          await bear(one, places.get(one)!);
        } else {
          // Both end, and each starts again at the other's address.
          const [first, second] = [places.get(one)!, places.get(other)!];
          for (const sandboxId of [one, other]) await control.apply({ type: 'delete-route', sandboxId });
          await bear(one, second);
          await bear(other, first);
        }
        const enough = answers + 10;
        while (answers < enough) await Promise.race([clients, new Promise((resolve) => setTimeout(resolve, 1))]);
      }
    } finally {
      over = true;
      await clients;
      session.destroy();
    }
    t.diagnostic(`${answers} answers, ${generation} starts`);
  });
});

/** @returns undefined when the sandbox was away */
async function ask(agent: Agent, host: string): Promise<string | undefined> {
  const sent = request({ host: '127.0.0.1', port: control.port, headers: { host }, agent });
  sent.end();
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = Buffer.concat(await response.toArray()).toString();
    return response.statusCode === 200 ? body : undefined;
  } catch {
    return undefined;
  }
}
