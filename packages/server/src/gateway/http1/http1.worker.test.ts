// HTTP/1.1 through a real worker process, byte by byte where bytes matter.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Route } from '@sandport/protocol/routes';
import { WebSocket, WebSocketServer } from 'ws';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { AskingOrigin, HttpOrigin, RawOrigin } from '../testing/origin.ts';
import { RawClient } from '../testing/raw-client.ts';

const MIB = 1024 * 1024;

let control: FakeControl;

before(async () => {
  control = await FakeControl.start([]);
});

after(() => control[Symbol.asyncDispose]());

let routes = 0;

/** Gives an origin a host name of its own. */
async function hostOf(origin: { address: string; port: number }): Promise<string> {
  const sandboxId = `s${++routes}`;
  const route: Route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' } };
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

/** A server that answers each connection's n-th complete head with the n-th text. */
function scripted(...answers: string[]): Promise<RawOrigin> {
  return RawOrigin.start((socket) => {
    let received = '';
    let next = 0;
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      while (received.includes('\r\n\r\n') && next < answers.length) {
        received = received.slice(received.indexOf('\r\n\r\n') + 4);
        socket.write(answers[next++]!, 'latin1');
      }
    });
    socket.on('end', () => socket.end());
  });
}

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('requests over HTTP/1.1', () => {
  it('that were refused for their size leave no connection to the next, which the server may be about to close', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      incoming.resume().on('end', () => {
        response.writeHead(incoming.method === 'POST' ? 413 : 200, { 'content-length': 2 }).end('ok');
      });
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    const post = (bytes: number): string =>
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`;
    const get = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    for (const [request, connections] of [
      [get, 1],
      [post(100), 1],
      [get, 1],
      [post(MIB), 1],
      [get, 2],
    ] as const) {
      client.send(request);
      await client.expect(/\r\n\r\nok/);
      assert.equal(origin.connections, connections);
    }
  });

  it('are answered with what the server said, though it hung up before it had read them', async () => {
    const answer = 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge';
    await using origin = await RawOrigin.start((socket) => {
      // With bytes of the request unread, so that the gateway's next write meets a reset.
      socket.once('readable', () => socket.end(answer, () => socket.destroy()));
    });
    const host = await hostOf(origin);
    const body = 'x'.repeat(4 * MIB);
    for (let i = 0; i < 40; i++) {
      using client = new RawClient(control.port);
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      await client.expect(/^HTTP\/1\.1 413 Too Large\r\n[\s\S]*large$/);
    }
  });

  it('reuse the connection on both sides', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.end('x'));
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    for (let i = 0; i < 5; i++) {
      client.send(`GET /${i} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(/\r\n\r\nx/);
    }
    assert.equal(origin.connections, 1);
  });

  it('may come in pieces of one byte', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => incoming.pipe(response));
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.socket.setNoDelay(true);
    for (const byte of `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The server gives back what it got in as many pieces as it got it.
    const text = await client.expect(/\r\n0\r\n\r\n$/);
    const chunks = text.slice(text.indexOf('\r\n\r\n') + 4).matchAll(/[1-3]\r\n([abc]+)\r\n/g);
    assert.equal([...chunks].map((chunk) => chunk[1]).join(''), 'abc');
  });

  it('are answered in order when pipelined', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      // The first takes longest.
      setTimeout(() => response.end(`answer ${incoming.url}`), incoming.url === '/0' ? 50 : 0);
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send([0, 1, 2, 3].map((i) => `GET /${i} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).join(''));
    let text = '';
    for (let i = 0; i < 4; i++) text += await client.expect(/answer \/\d/);
    assert.deepEqual(text.match(/answer \/\d/g), ['answer /0', 'answer /1', 'answer /2', 'answer /3']);
  });

  it('get an answer after the client has closed its half', async () => {
    await using origin = await HttpOrigin.start((_request, response) => setTimeout(() => response.end('late'), 50));
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.socket.end(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/late/);
    assert.equal(await client.untilEnded(), 'end');
  });

  it('let go of a silent server when their client has hung up, not of one that goes on answering', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const closed = async (answer: string, hangUp: (socket: Socket) => void): Promise<void> => {
      const server = Promise.withResolvers<Socket>();
      await using origin = await RawOrigin.start((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => {
          socket.write(answer, 'latin1');
          server.resolve(socket);
        });
      });
      using client = new RawClient(control.port);
      client.send(`GET / HTTP/1.1\r\nHost: ${await hostOf(origin)}\r\n\r\n`);
      const socket = await server.promise;
      if (answer !== '') await client.expect(/\r\n\r\n/);
      hangUp(client.socket);
      await eventually(
        () => socket.closed,
        `the end of the connection to a server that sent ${JSON.stringify(answer)}`,
      );
    };
    const goesOn = async (): Promise<void> => {
      await using origin = await RawOrigin.start((socket) => {
        socket.once('data', () => {
          socket.write(head);
          let left = 3;
          const timer = setInterval(() => {
            socket.write(left > 0 ? `1\r\n${left}\r\n` : '0\r\n\r\n');
            if (left-- === 0) clearInterval(timer);
          }, 2000);
        });
      });
      using client = new RawClient(control.port);
      client.socket.end(`GET / HTTP/1.1\r\nHost: ${await hostOf(origin)}\r\n\r\n`);
      await client.untilEnded();
      assert.match(client.received, /3\r\n1\r\n2\r\n1\r\n1\r\n0\r\n\r\n$/);
    };
    // What is in no protocol of ours may be silent for long.
    const tunnels = async (): Promise<void> => {
      await using origin = await RawOrigin.start((socket) => {
        const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
        // Behind the end of the client, which the gateway has by then.
        socket.once('data', () => setTimeout(() => socket.write(switching), 100));
        socket.on('end', () => setTimeout(() => socket.end('late'), 7000));
      });
      using client = new RawClient(control.port);
      const host = await hostOf(origin);
      client.socket.end(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
      assert.equal(await client.untilEnded(), 'end');
      assert.match(client.received, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nlate$/);
    };
    await Promise.all([
      ...['', head, `${head}1\r\nx\r\n`].flatMap((answer) => [
        closed(answer, (socket) => socket.end()),
        closed(answer, (socket) => socket.destroy()),
      ]),
      goesOn(),
      tunnels(),
    ]);
  });

  it('from HTTP/1.0 get an answer that ends with the connection', async () => {
    await using origin = await scripted(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    );
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    assert.equal(await client.untilEnded(), 'end');
    assert.equal(client.received, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde');
  });

  it('may name their target with scheme and host, or be about the server as a whole', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      response.end(`${incoming.method} ${incoming.url} at ${incoming.headers.host};`);
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    for (const [method, target, expected] of [
      ['GET', `http://${host}/a?b=c`, '/a?b=c'],
      ['GET', `HTTPS://${host.toUpperCase()}/d`, '/d'],
      ['GET', `http://${host}`, '/'],
      ['GET', `http://${host}?e`, '/?e'],
      ['OPTIONS', '*', '*'],
    ]) {
      client.send(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      const answer = await client.expect(/\r\n\r\n.*;/s);
      assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), `${method} ${expected} at ${host};`);
    }
    client.send(`GET http://3000-other.${DOMAIN}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/^HTTP\/1\.1 400 /);
  });

  it('reach the server letter for letter, but for what belongs to one hop', async () => {
    const lines = ['x-B: 1', 'A: 2', 'X-b: 3', 'Connection: keep-alive, x-hop', 'X-Hop: 4', 'Proxy-Authorization: a'];
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', (head) => {
        const body = head.toString('latin1');
        const answer = [...lines, `Content-Length: ${body.length}`, 'Keep-Alive: timeout=5'];
        socket.write(`HTTP/1.1 200 Fine\r\n${answer.join('\r\n')}\r\n\r\n${body}`, 'latin1');
      });
    });
    using client = new RawClient(control.port);
    client.send(`GET /%C3%a9 HTTP/1.1\r\nHost: ${await hostOf(origin)}\r\n${lines.join('\r\n')}\r\n\r\n`);
    const answer = await client.expect(/\r\n\r\nGET .*\r\n\r\n$/s);
    assert.match(answer, /^HTTP\/1\.1 200 Fine\r\nx-B: 1\r\nA: 2\r\nX-b: 3\r\nContent-Length: \d+\r\n\r\n/);
    assert.match(answer, /GET \/%C3%a9 HTTP\/1\.1\r\nHost: [^\r]+\r\nx-B: 1\r\nA: 2\r\nX-b: 3\r\n/);
    assert.doesNotMatch(answer, /x-hop|proxy-|keep-alive/i);
  });

  it('that ask to close are the last', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.end('x'));
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await client.expect(/Connection: close\r\n\r\nx/);
    assert.equal(await client.untilEnded(), 'end');
  });

  it('that are malformed are answered and end the connection', async () => {
    const cases: [string, RegExp][] = [
      ['GET / HTTP/1.1\n\n', /^HTTP\/1\.1 400 .*"error_code":"malformed_request"\}/s],
      ['nonsense\r\n\r\n', /^HTTP\/1\.1 400 /],
      ['GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
      ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', /^HTTP\/1\.1 501 /],
      [`GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, /^HTTP\/1\.1 414 /],
      [`GET / HTTP/1.1\r\nHost: a\r\nA: ${'b'.repeat(70_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
      [`GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(300)}\r\n`, /^HTTP\/1\.1 431 /],
    ];
    for (const [text, expected] of cases) {
      using client = new RawClient(control.port);
      client.send(text);
      await client.expect(expected);
      assert.equal(await client.untilEnded(), 'end');
    }
  });

  it('end with the client’s half when their body can no longer come, also behind another request', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      incoming.on('error', () => {});
      // The second request is with the gateway, with all that there is of it, before the first is answered.
      setTimeout(() => response.end('answer'), 20);
    });
    const host = await hostOf(origin);
    const half = `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhalf`;
    for (const before of ['', `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`]) {
      using client = new RawClient(control.port);
      client.socket.end(before + half);
      if (before !== '') await client.expect(/answer$/);
      await client.untilEnded();
    }
    await eventually(() => origin.connections > 0, 'a request');
  });

  it('with a chunk that is malformed never reach the server whole', async () => {
    let whole = false;
    await using origin = await HttpOrigin.start((incoming) => {
      incoming.on('error', () => {});
      incoming.resume().on('end', () => {
        whole = true;
      });
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    await eventually(() => origin.connections === 1, 'the request');
    client.send('0x0\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 400 /);
    assert.equal(whole, false);
  });
});

describe('responses over HTTP/1.1', () => {
  const get = (host: string, method = 'GET') => `${method} / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

  it('without a length end with the connection', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nA: b\r\n\r\nuntil the end'));
    });
    using client = new RawClient(control.port);
    client.send(get(await hostOf(origin)));
    assert.equal(await client.untilEnded(), 'end');
    assert.equal(client.received, 'HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nuntil the end');
  });

  it('to HEAD, 204 and 304 have no body whatever their headers say', async () => {
    await using origin = await scripted(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast',
    );
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    for (const method of ['HEAD', 'GET', 'GET']) {
      client.send(get(host, method));
      await client.expect(/\r\n\r\n$/);
    }
    client.send(get(host));
    await client.expect(/200 OK\r\nContent-Length: 4\r\n\r\nlast$/);
    assert.equal(origin.sockets.size, 1);
  });

  it('pass 100 and 103 on before the final one', async () => {
    await using origin = await scripted(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
    );
    using client = new RawClient(control.port);
    client.send(get(await hostOf(origin)));
    const text = await client.expect(/\r\n\r\nx$/);
    assert.equal(
      text,
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
    );
  });

  it('ask for the body with 100 only when the server does', async () => {
    await using server = await AskingOrigin.start();
    const host = await hostOf(server.origin);
    using client = new RawClient(control.port);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
    await client.expect(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    assert.equal(server.asked, true);
    client.send('body');
    await client.expect(/200 OK.*body/s);
  });

  it('pass trailers on, both ways', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      incoming.resume().on('end', () => {
        response.writeHead(200, { Trailer: 'X-Sum' });
        response.write('body');
        response.addTrailers({ 'X-Sum': `got ${incoming.trailers['x-check']}` });
        response.end();
      });
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Check: 7\r\n\r\n`,
    );
    await client.expect(/0\r\nX-Sum: got 7\r\n\r\n$/);
  });

  it('flow as they are made', async () => {
    await using origin = await HttpOrigin.start((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: 1\n\n');
      origin.server.once('next', () => response.write('data: 2\n\n'));
    });
    using client = new RawClient(control.port);
    client.send(get(await hostOf(origin)));
    await client.expect(/data: 1\n\n/);
    assert.doesNotMatch(client.received, /data: 2/);
    origin.server.emit('next');
    await client.expect(/data: 2\n\n/);
  });

  it('that come before the request is read end the connection in order', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!'));
    });
    using client = new RawClient(control.port);
    client.send(`POST / HTTP/1.1\r\nHost: ${await hostOf(origin)}\r\nContent-Length: 1000\r\n\r\nsome`);
    await client.expect(/413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!/);
    assert.equal(await client.untilEnded(), 'end');
    await eventually(() => origin.sockets.size === 0, 'the connection not to be reused');
  });

  it('that are no HTTP become 502', async () => {
    await using origin = await scripted('SSH-2.0-OpenSSH_9\r\n');
    using client = new RawClient(control.port);
    client.send(get(await hostOf(origin)));
    await client.expect(/^HTTP\/1\.1 502 .*Failed to route request to sandbox\n/s);
  });

  it('that switch protocols unasked become 502', async () => {
    await using origin = await scripted('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n');
    using client = new RawClient(control.port);
    client.send(get(await hostOf(origin)));
    await client.expect(/^HTTP\/1\.1 502 /);
  });

  it('that break off never look complete', async () => {
    const broken: ((socket: Socket) => void)[] = [
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'),
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
      (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nhalf', () => socket.resetAndDestroy()),
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
        socket.once('next', () => socket.write('zz\r\n'));
      },
    ];
    for (const act of broken) {
      await using origin = await RawOrigin.start((socket) => socket.once('data', () => act(socket)));
      using client = new RawClient(control.port);
      client.send(get(await hostOf(origin)));
      await client.expect(/half/);
      for (const socket of origin.sockets) socket.emit('next');
      assert.equal(await client.untilEnded(), 'ECONNRESET');
    }
  });

  it('with bytes after their end do not pass them to the next request', async () => {
    await using origin = await RawOrigin.start((socket, index) => {
      const surplus = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index}${surplus}`));
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    for (let i = 0; i < 3; i++) {
      client.send(get(host));
      await client.expect(new RegExp(`\r\n\r\n${i}$`));
    }
  });
});

describe('a connection to the server that dies as it is reused', () => {
  /** Answers once, then ends the connection at the next request without a word. */
  const mortal = () =>
    RawOrigin.start((socket, index) => {
      let requests = 0;
      socket.on('data', () => {
        if (index === 0 && ++requests === 2) socket.resetAndDestroy();
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index}`);
      });
    });

  it('costs a GET nothing', async () => {
    await using origin = await mortal();
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    for (const expected of [0, 1]) {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(new RegExp(`200 OK.*\r\n\r\n${expected}$`, 's'));
    }
  });

  it('does not make a POST happen twice', async () => {
    await using origin = await mortal();
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    const post = `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\nx`;
    client.send(post);
    await client.expect(/200 OK/);
    client.send(post);
    await client.expect(/HTTP\/1\.1 502/);
    assert.equal(origin.sockets.size, 0);
  });
});

/** Reads with pauses, so that what sends has to wait. */
async function digestOf(stream: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk as Buffer);
    const before = Math.floor(bytes / MIB);
    bytes += (chunk as Buffer).length;
    if (Math.floor(bytes / MIB) > before) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return hash.digest('hex');
}

describe('bodies', () => {
  it('of many megabytes arrive unharmed, both ways', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => incoming.pipe(response));
    const host = await hostOf(origin);
    const body = randomBytes(24 * MIB);
    for (const headers of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
      const sent = request({
        host: '127.0.0.1',
        port: control.port,
        method: 'PUT',
        headers: { host, ...headers },
        agent: false,
      });
      sent.end(body);
      const [response] = await once(sent, 'response');
      const hash = createHash('sha256');
      for await (const chunk of response) hash.update(chunk);
      assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
    }
  });

  it('wait for a reader that is slow, in both directions', async () => {
    let taken = 0;
    await using origin = await RawOrigin.start((socket) => {
      socket.on('data', (chunk) => {
        taken += chunk.length;
      });
      socket.pause();
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    const total = 64 * MIB;
    client.send(`PUT / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${total}\r\n\r\n`);
    const piece = Buffer.alloc(MIB);
    for (let i = 0; i < 64; i++) client.socket.write(piece);
    await eventually(() => origin.sockets.size === 1, 'the request');
    const [server] = origin.sockets;
    assert.ok(server !== undefined);
    // What the kernel buffers is limited; the rest stays with the client.
    await settled(() => client.socket.writableLength);
    assert.ok(client.socket.writableLength > 32 * MIB, `${client.socket.writableLength} left`);
    server.resume();
    await eventually(() => taken >= total, 'the whole upload');

    server.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    client.socket.pause();
    for (let i = 0; i < 64; i++) server.write(piece);
    await settled(() => server.writableLength);
    assert.ok(server.writableLength > 32 * MIB, `${server.writableLength} left`);
    client.socket.resume();
    await eventually(() => client.received.length > total, 'the whole download');
  });

  it('arrive unharmed when their readers stop again and again, both ways', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      if (incoming.method === 'GET') {
        response.end(body);
        return;
      }
      digestOf(incoming).then((digest) => response.end(digest));
    });
    const host = await hostOf(origin);
    const body = randomBytes(24 * MIB);
    const expected = createHash('sha256').update(body).digest('hex');
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const options = { host: '127.0.0.1', port: control.port, headers: { host }, agent: false };
        const upload = request({ ...options, method: 'PUT' });
        upload.setHeader('content-length', body.length);
        upload.end(body);
        const [answer] = (await once(upload, 'response')) as [IncomingMessage];
        assert.equal(String((await answer.toArray())[0]), expected);
        const download = request(options);
        download.end();
        const [response] = (await once(download, 'response')) as [IncomingMessage];
        assert.equal(await digestOf(response), expected);
      }),
    );
  });

  it('whose client goes away end at the server too', async () => {
    let ended = false;
    await using origin = await HttpOrigin.start((_request, response) => {
      response.on('close', () => {
        ended = true;
      });
      response.write('first');
    });
    const host = await hostOf(origin);
    const client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/first/);
    client.socket.resetAndDestroy();
    await eventually(() => ended, 'the end of the response');
  });
});

/** Waits until a number has not changed for a while. */
async function settled(value: () => number): Promise<void> {
  let last = -1;
  for (let same = 0; same < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

describe('WebSockets', () => {
  it('echo messages of all sizes, and close in order', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.writeHead(400).end());
    const server = new WebSocketServer({ server: origin.server });
    server.on('connection', (socket) =>
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
    );
    const host = await hostOf(origin);
    const agent = new Agent();
    const socket = new WebSocket(`ws://127.0.0.1:${control.port}/chat`, { headers: { host }, agent });
    await once(socket, 'open');
    for (const message of [Buffer.from('hello'), randomBytes(100_000), randomBytes(3 * MIB)]) {
      socket.send(message);
      const [echo] = await once(socket, 'message');
      assert.ok(message.equals(echo as Buffer));
    }
    socket.close(4000, 'done');
    const [code] = await once(socket, 'close');
    assert.equal(code, 4000);
    agent.destroy();
  });

  it('lose no byte that came with the request, nor one that came with the answer', async () => {
    let received = '';
    await using origin = await RawOrigin.start((socket) => {
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
      });
    });
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\nearly`);
    await eventually(() => received.includes('\r\n\r\n'), 'the request');
    for (const socket of origin.sockets) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\nfirst');
    }
    await client.expect(/101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\nfirst/);
    client.send(' and more');
    await eventually(() => received.endsWith('\r\n\r\nearly and more'), 'all bytes of the tunnel');
  });

  it('refused by the server leave an ordinary connection', async () => {
    await using origin = await scripted(
      'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    const host = await hostOf(origin);
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    await client.expect(/403 No/);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/200 OK/);
  });
});

describe('a sandbox that ends', () => {
  it('resets its clients’ connections, busy and waiting ones', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      if (incoming.url === '/stream') response.write('first');
    });
    const host = await hostOf(origin);
    const sandboxId = host.split('-')[1]!.split('.')[0]!;
    using streaming = new RawClient(control.port);
    using waiting = new RawClient(control.port);
    streaming.send(`GET /stream HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    waiting.send(`GET /wait HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await streaming.expect(/first/);
    await eventually(() => origin.connections === 2, 'both requests');
    await control.apply({ type: 'delete-route', sandboxId });
    assert.equal(await streaming.untilEnded(), 'ECONNRESET');
    assert.equal(await waiting.untilEnded(), 'ECONNRESET');
    using next = new RawClient(control.port);
    next.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await next.expect(/502 .*The sandbox was not found/s);
  });

  it('and starts again gets no connection of its earlier start', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.end('x'));
    const host = await hostOf(origin);
    const sandboxId = host.split('-')[1]!.split('.')[0]!;
    using client = new RawClient(control.port);
    const ask = async () => {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(/\r\n\r\nx/);
    };
    await ask();
    await ask();
    assert.equal(origin.connections, 1);
    const route = { sandboxId, address: origin.address, access: { kind: 'public' } } as const;
    await control.apply({ type: 'set-route', route: { ...route, generation: 'g2' } });
    await ask();
    assert.equal(origin.connections, 2);
    // A route that is only told again changes nothing.
    await control.apply({ type: 'set-route', route: { ...route, generation: 'g2' } });
    await ask();
    assert.equal(origin.connections, 2);
  });
});
