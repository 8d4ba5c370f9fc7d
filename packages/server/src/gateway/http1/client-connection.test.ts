// Backpressure at the last bytes of a body, which only a socket that the test controls can bring about for certain.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Roster } from '../../roster.ts';
import type { Client, GatewayContext } from '../context.ts';
import { RouteTable } from '../routing/route-table.ts';
import { Router } from '../routing/router.ts';
import { Sweep } from '../sweep.ts';
import { RawOrigin } from '../testing/origin.ts';
import { ClientConnection } from './client-connection.ts';

/** A client that takes bytes only when the test lets it. */
class HeldClient extends Duplex {
  received = '';
  #held: (() => void) | undefined;
  holding = false;

  constructor() {
    super({ highWaterMark: 1, allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.received += chunk.toString('latin1');
    if (this.holding) this.#held = callback;
    else callback();
  }

  release(): void {
    this.holding = false;
    this.#held?.();
    this.#held = undefined;
  }

  async expect(pattern: RegExp): Promise<void> {
    const deadline = performance.now() + 5000;
    while (!pattern.test(this.received)) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${pattern} in ${this.received}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    this.received = '';
  }
}

let sweep: Sweep;
let table: RouteTable;
let context: GatewayContext;

beforeEach(() => {
  sweep = new Sweep();
  table = new RouteTable({ domain: 'box.test', listen: [] }, sweep, { wake() {}, used() {} });
  context = { router: new Router(table), sweep, clients: new Roster<Client>(Symbol('clients')), stopping: false };
});

afterEach(() => {
  for (const client of context.clients) client.destroy();
  table.replace([], []);
  sweep[Symbol.dispose]();
});

function attach(origin: RawOrigin): { client: HeldClient; host: string } {
  const client = new HeldClient();
  const socket = client as unknown as Socket;
  table.setRoute({ sandboxId: 'abc', generation: 'g1', address: origin.address, access: { kind: 'public' } });
  new ClientConnection(
    socket,
    { tcp: socket, secure: false, address: '127.0.0.1', port: 0, trusted: false, crowded: false, forwardedLines: '' },
    context,
  );
  return { client, host: `${origin.port}-abc.box.test` };
}

describe('backpressure at the end of a body', () => {
  it('does not pause a connection to the server that serves another request next', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n'));
    });
    const { client, host } = attach(origin);
    const ask = async () => {
      client.push(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(/200 OK.*\r\n\r\n$/s);
      for (const socket of origin.sockets) socket.write('body');
    };
    await ask();
    await client.expect(/^body$/);
    // This time the last bytes wait for the client.
    client.push(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/200 OK.*\r\n\r\n$/s);
    client.holding = true;
    for (const socket of origin.sockets) socket.write('body');
    await client.expect(/^body$/);
    const drained = once(client, 'drain');
    client.release();
    await drained;
    await ask();
    await client.expect(/^body$/);
    assert.equal(origin.sockets.size, 1);
  });

  it('does not leave the client unread for its next request', async () => {
    const size = 32 * 1024 * 1024;
    let taken = 0;
    await using origin = await RawOrigin.start((socket) => {
      socket.pause();
      socket.on('data', (chunk) => {
        taken += chunk.length;
        if (taken > size) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
      });
      // Listening for data has started the flow.
      socket.pause();
    });
    const { client, host } = attach(origin);
    client.push(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`);
    client.push(Buffer.alloc(size));
    const deadline = performance.now() + 5000;
    while (origin.sockets.size === 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 2));
    for (const socket of origin.sockets) socket.resume();
    await client.expect(/done$/);
    client.push(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/done$/);
  });
});
