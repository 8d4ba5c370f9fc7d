import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { limits } from './limits.ts';
import { ReadBuffers, sharedBuffer } from './read-buffers.ts';
import { readInto } from './read-into.ts';

describe('reading an accepted socket into a buffer of ours', () => {
  it('works with the Node that Sandport is pinned to, and follows a change of the buffer', async () => {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    try {
      const buffers: Buffer[] = [Buffer.alloc(16), Buffer.alloc(16)];
      const seen: string[] = [];
      const reader = {
        read: (length: number, buf: Buffer) => {
          seen.push(`${buffers.indexOf(buf)} ${buf.toString('latin1', 0, length)}`);
          if (seen.length === 1) client.end('two');
        },
        next: () => buffers[1],
      };
      assert.equal(readInto(socket, buffers[0]!, reader), true);
      client.write('one');
      await once(socket, 'end');
      assert.deepEqual(seen, ['0 one', '1 two']);
    } finally {
      socket.destroy();
      client.destroy();
      server.close();
    }
  });
});

describe('the buffers of a connection', () => {
  it('are its own only while it brings much, and never while a write needs them', () => {
    const buffers = new ReadBuffers();
    assert.equal(buffers.next(false), undefined);
    const own = buffers.next(true);
    assert.ok(own !== undefined && own !== sharedBuffer && buffers.owns(own));
    assert.equal(buffers.next(true), undefined, 'it stays the same');
    const write = buffers.lend();
    buffers.wait(write);
    assert.equal(buffers.next(false), undefined);
    assert.equal(buffers.written(write - 1), false);
    assert.equal(buffers.waiting, true);
    assert.equal(buffers.written(write), true);
    assert.equal(buffers.next(false), sharedBuffer);
    assert.equal(buffers.owns(own), false);
  });

  it('are limited in number, and one that is still written is lent to nobody else', () => {
    const all = Array.from({ length: limits.bulkBuffers }, () => new ReadBuffers());
    const lent = all.map((buffers) => buffers.next(true));
    assert.equal(new Set(lent).size, limits.bulkBuffers);
    const another = new ReadBuffers();
    assert.equal(another.next(true), undefined);
    const [first] = all as [ReadBuffers];
    first.wait(first.lend());
    first.release();
    const fresh = another.next(true);
    assert.ok(fresh !== undefined && !lent.includes(fresh));
    for (const buffers of [...all, another]) buffers.release();
  });
});
