import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { limits } from './limits.ts';
import { listen } from './listener.ts';
import { type Expiring, Sweep } from './sweep.ts';
import { freePort } from './testing/free-port.ts';

describe('sweep', () => {
  it('calls each member once its deadline has passed, and the others not', async () => {
    using sweep = new Sweep(2);
    const called: string[] = [];
    const member = (name: string, after: number): Expiring => {
      const one: Expiring = { deadline: after === 0 ? 0 : sweep.now + after, onDeadline: () => called.push(name) };
      sweep.add(one);
      return one;
    };
    member('none', 0);
    member('later', 60_000);
    sweep.delete(member('deleted', 1));
    await new Promise<void>((resolve) => {
      const last: Expiring = { deadline: sweep.now + 20, onDeadline: resolve };
      member('soon', 5);
      sweep.add(last);
      // The sweep's own timer keeps no process alive; this one does until then.
      const alive = setInterval(() => last.deadline === 0 && clearInterval(alive), 2);
    });
    assert.deepEqual(called, ['soon']);
  });

  it('ends connections that never say anything', async () => {
    using sweep = new Sweep(5);
    const port = await freePort();
    const nobody = () => assert.fail('no protocol was spoken');
    const accepted = Promise.withResolvers<void>();
    const server = await listen(
      { host: '127.0.0.1', port },
      sweep,
      { tls: nobody, http2: nobody, http1: nobody, mayAnnounce: () => false, announced: nobody },
      {
        traffic: { received: 0, sent: 0 },
        admit: () => true,
        opened: () => accepted.resolve(),
        released: () => {},
      },
    );
    const client = connect(port, '127.0.0.1');
    client.on('error', () => {});
    await accepted.promise;
    // The start of an HTTP/2 preface is nothing yet either.
    client.write('PRI * HT');
    // In order or with a reset: both are an end.
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.resume();
    // Instead of waiting half a minute, time passes at once.
    const real = performance.now;
    performance.now = () => real.call(performance) + limits.firstBytesTime + 1000;
    try {
      await closed;
    } finally {
      performance.now = real;
      server.close();
    }
  });
});
