// Connections whose requests are read: what their clients and their hosts may do wrong, and what is left of it then.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { OPEN } from '../host/network/egress-policy.ts';
import { Interceptor, type InterceptorTimes } from './interceptor.ts';
import { LeafCertificates } from './leaf-certificates.ts';
import { ReachableRanges, SandboxEgress } from './sandbox-egress.ts';

const NAME = 'allowed.test';
const TIMES: InterceptorTimes = { handshakeMs: 10_000, headMs: 30_000, checkMs: 20, idleMs: 30_000 };
const GET = get('');
const UPGRADE = upgrade('');
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const timeout = { timeout: 20_000 };

interface Intercepted {
  /** Opens a connection of the sandbox, without TLS. */
  readonly open: () => Promise<Socket>;
  readonly port: number;
  /** Connections to the host so far. */
  readonly upstreams: Socket[];
  /** Connections of the sandbox that are over. */
  readonly ended: () => number;
}

function get(path: string): string {
  return `GET /${path} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;
}

function upgrade(path: string): string {
  return `GET /${path} HTTP/1.1\r\nHost: ${NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
}

async function listen(context: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

async function intercept(
  context: TestContext,
  onUpstream: (socket: Socket) => void,
  {
    times = TIMES,
    isSecure = false,
    transforms = true,
  }: { readonly times?: InterceptorTimes; readonly isSecure?: boolean; readonly transforms?: boolean } = {},
): Promise<Intercepted> {
  const upstreams: Socket[] = [];
  let ended = 0;
  const upstreamPort = await listen(context, (socket) => {
    upstreams.push(socket);
    onUpstream(socket);
  });
  const interceptor = new Interceptor(new LeafCertificates(), times);
  const policy = {
    ...OPEN,
    transforms: [{ domain: NAME, headers: { 'X-Api-Key': 'secret' } }],
    authority: 'secret of the authority',
  };
  const sandbox = new SandboxEgress({ address: '127.0.0.1', policy }, new ReachableRanges([]));
  const dial = async (): Promise<Socket> => {
    const socket = connect({ port: upstreamPort, host: '127.0.0.1' });
    await once(socket, 'connect');
    return socket.on('error', () => {}).pause();
  };
  const port = await listen(context, (socket) => {
    const served = interceptor.serve({
      sandbox,
      socket,
      name: NAME,
      isSecure,
      port: isSecure ? 443 : 80,
      transforms,
      dial,
    });
    void served.then(() => ended++);
  });
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1' });
    context.after(() => socket.destroy());
    await once(
      socket.on('error', () => {}),
      'connect',
    );
    return socket;
  };
  return { open, port, upstreams, ended: () => ended };
}

/** All that comes until the connection has ended. */
async function received(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

test('a head that has begun and does not end is cut in time, also behind a request', timeout, async (context) => {
  const { open } = await intercept(context, (socket) => socket.on('data', () => socket.write(OK)), {
    times: { ...TIMES, headMs: 100 },
  });
  for (const before of ['', GET]) {
    const socket = await open();
    socket.write(`${before}GET / HTTP/1.1\r\nHost: ${NAME}\r\nX-A:`);
    assert.match(await received(socket), before === '' ? /^$/ : /200 OK/);
  }
});

test('a connection on which nothing comes from either side is ended in time', timeout, async (context) => {
  const { open, upstreams } = await intercept(context, (socket) => socket.resume(), {
    times: { ...TIMES, idleMs: 100 },
  });
  const socket = await open();
  socket.write(GET);
  assert.equal(await received(socket), '');
  await waitUntil(() => upstreams[0]!.readableEnded || upstreams[0]!.closed, 'the end of the upstream');
});

test(
  'requests without end, none of which is answered, end the connection and not the process',
  timeout,
  async (context) => {
    const { open, upstreams } = await intercept(context, (socket) => socket.resume());
    const socket = await open();
    socket.write(GET.repeat(5000));
    assert.equal(await received(socket), '');
    assert(upstreams.length <= 4, `${upstreams.length} connections`);
  },
);

test(
  'requests that are sent before the ones before them are answered are answered in order',
  timeout,
  async (context) => {
    const { open } = await intercept(context, (socket) => {
      socket.on('data', (data: Buffer) => {
        const path = /^GET (\S+)/.exec(data.toString())![1]!;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
      });
    });
    const socket = await open();
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    socket.write(
      paths
        .map((path, index) => {
          const last = index === paths.length - 1 ? 'Connection: close\r\n' : '';
          return `GET ${path} HTTP/1.1\r\nHost: ${NAME}\r\n${last}\r\n`;
        })
        .join(''),
    );
    const text = await received(socket);
    assert.deepEqual(text.match(/\/\d+(?=HTTP|$)/g), paths);
  },
);

test('a host that does not agree on TLS is let go of with the connection of the sandbox', timeout, async (context) => {
  const { port, upstreams } = await intercept(context, (socket) => socket.resume(), { isSecure: true });
  const client = connectTls({ port, host: '127.0.0.1', servername: NAME, rejectUnauthorized: false });
  client.on('error', () => {});
  await once(client, 'secureConnect');
  client.write(GET);
  await waitUntil(() => upstreams.length === 1, 'the upstream');
  const closed = once(upstreams[0]!, 'close');
  upstreams[0]!.on('end', () => upstreams[0]!.end());
  client.destroy();
  await closed;
});

test('a host that does not agree on TLS in time is told of, and let go of', timeout, async (context) => {
  const { port, upstreams } = await intercept(context, (socket) => socket.resume(), {
    isSecure: true,
    times: { ...TIMES, handshakeMs: 1000 },
  });
  const client = connectTls({ port, host: '127.0.0.1', servername: NAME, rejectUnauthorized: false });
  context.after(() => client.destroy());
  await once(client, 'secureConnect');
  client.write(GET);
  await waitUntil(() => upstreams.length === 1, 'the upstream');
  const ended = once(upstreams[0]!, 'end');
  assert.match(await received(client), /^HTTP\/1\.1 502 [\s\S]*did not agree on TLS in time/);
  await ended;
});

test('an answer that cannot be passed on is told as one, and leaves nobody waiting', timeout, async (context) => {
  for (const line of ['HTTP/1.1 000 Nothing', 'HTTP/1.1 099 Odd', 'HTTP/1.1 200 a\x01b', 'HTTP/1.1 200 a\x7fb']) {
    const { open } = await intercept(context, (socket) => {
      socket.on('data', () => socket.write(Buffer.from(`${line}\r\nContent-Length: 0\r\n\r\n`, 'latin1')));
    });
    const socket = await open();
    socket.write(GET);
    assert.match(await received(socket), /^HTTP\/1\.1 502 /, line);
  }
});

test('a field that a server may take for one that is added is not passed on', timeout, async (context) => {
  let seen = '';
  const { open } = await intercept(context, (socket) => {
    socket.on('data', (data: Buffer) => {
      seen += data.toString('latin1');
      socket.write(OK);
    });
  });
  const socket = await open();
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${NAME}\r\nX_Api_Key: mine\r\nx-api_key: mine\r\nX-API-KEY: mine\r\nX_Other: kept\r\nConnection: close\r\n\r\n`,
  );
  assert.match(await received(socket), /200 OK/);
  assert.doesNotMatch(seen, /mine/);
  assert.match(seen, /X_Other: kept[\s\S]*X-Api-Key: secret/);
});

test('a request that is read for its upgrade alone gets no headers', timeout, async (context) => {
  const seen = Promise.withResolvers<string>();
  const { open } = await intercept(context, (socket) => socket.on('data', (data) => seen.resolve(data.toString())), {
    transforms: false,
  });
  const socket = await open();
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Api-Key: mine\r\n\r\n`,
  );
  assert.match(await seen.promise, /X-Api-Key: mine/);
  assert.doesNotMatch(await seen.promise, /secret/);
});

test('an upgrade that the host does not take up ends, though much was sent behind it', timeout, async (context) => {
  const { open, ended } = await intercept(context, (socket) => socket.on('data', () => socket.write(OK)));
  const socket = await open();
  socket.write(UPGRADE);
  socket.end(Buffer.alloc(500_000, 'x'));
  assert.match(await received(socket), /^HTTP\/1\.1 200 OK/);
  await waitUntil(() => ended() === 1, 'the end of the connection');
});

test(
  'an upgrade whose client hangs up before the host answers ends, and lets go of the host',
  timeout,
  async (context) => {
    for (const behind of ['', 'what comes behind']) {
      const { open, upstreams, ended } = await intercept(context, (socket) => socket.resume());
      const socket = await open();
      socket.write(`${UPGRADE}${behind}`);
      await waitUntil(() => upstreams[0] !== undefined && upstreams[0].bytesRead > 0, 'the request at the host');
      socket.end();
      await waitUntil(() => ended() === 1, 'the end of the connection');
      await waitUntil(() => upstreams[0]!.readableEnded || upstreams[0]!.closed, 'the end of the upstream');
    }
  },
);

test('an upgrade that the host does not answer ends in time', timeout, async (context) => {
  const { open, upstreams } = await intercept(context, (socket) => socket.resume(), {
    times: { ...TIMES, idleMs: 100 },
  });
  const socket = await open();
  socket.write(UPGRADE);
  assert.equal(await received(socket), '');
  await waitUntil(() => upstreams[0]!.readableEnded || upstreams[0]!.closed, 'the end of the upstream');
});

test('what is sent behind an upgrade before the host answers reaches it, however much', timeout, async (context) => {
  const early = randomBytes(5_000_000).toString('latin1');
  let heard = '';
  const { open, upstreams } = await intercept(context, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
  });
  const socket = await open();
  socket.write(`${UPGRADE}${early.slice(0, 10)}`, 'latin1');
  await waitUntil(() => heard.length > 0, 'the request at the host');
  socket.write(early.slice(10), 'latin1');
  // Until nobody takes any more of it.
  let left = -1;
  await waitUntil(() => {
    const before = left;
    left = socket.bytesWritten - socket.writableLength;
    return left === before && socket.writableLength > 0;
  }, 'as much as there is room for');
  const at = heard.length;
  upstreams[0]!.write(`${SWITCHING}hello`);
  socket.end('last');
  await waitUntil(() => heard.endsWith('last'), 'all of it');
  assert(heard.slice(at) === `${early}last`, 'it is as it was sent');
  upstreams[0]!.end(' goodbye');
  assert.match(await received(socket), /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nhello goodbye$/);
});

describe('whatever its host does, nothing is left of a connection', { timeout: 60_000 }, () => {
  const hosts: Readonly<Record<string, (socket: Socket) => void>> = {
    never: () => {},
    answers: (socket) => socket.write(OK),
    closes: (socket) => socket.end(),
    resets: (socket) => socket.resetAndDestroy(),
    'begins-a-head': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le'),
    'begins-a-body': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok'),
    'sends-much': (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n') && socket.end(Buffer.alloc(1_000_000)),
    'takes-up': (socket) => socket.write(SWITCHING),
    'takes-up-and-closes': (socket) => socket.end(`${SWITCHING}last`),
    'takes-up-and-resets': (socket) => socket.write(SWITCHING) && setImmediate(() => socket.resetAndDestroy()),
    babbles: (socket) => socket.write('\0\r\n\r\n'),
  };
  const requests: readonly ((host: string) => string)[] = [
    get,
    (host) => get(host).repeat(3),
    (host) => `POST /${host} HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 100000\r\n\r\nsome`,
    upgrade,
    (host) => get(host) + upgrade(host),
  ];
  // Not read to its end before the host has answered: it is the idle time that ends it.
  const long = (host: string): string => upgrade(host) + 'x'.repeat(1_000_000);
  const ends: Readonly<Record<string, (socket: Socket) => void>> = {
    'that its client ends': (socket) => void socket.end(),
    'that its client closes': (socket) => void socket.destroy(),
    'that its client resets': (socket) => void socket.resetAndDestroy(),
    'that its client ends once something has come': (socket) => {
      const timer = setTimeout(() => socket.end(), 200);
      socket.once('data', () => socket.end()).once('close', () => clearTimeout(timer));
    },
  };
  for (const [what, end] of Object.entries(ends)) {
    test(what, async (context) => {
      const onUpstream = (socket: Socket): void => {
        socket.on('end', () => socket.end());
        socket.once('data', (bytes) => hosts[/^\w+ \/(\S*)/.exec(bytes.toString('latin1'))![1]!]!(socket));
        socket.resume();
      };
      const passThrough = async (request: (host: string) => string, idleMs: number): Promise<void> => {
        const { open, upstreams, ended } = await intercept(context, onUpstream, { times: { ...TIMES, idleMs } });
        const begin = async (host: string): Promise<void> => {
          const socket = await open();
          socket.resume().write(request(host));
          end(socket);
        };
        const names = Object.keys(hosts);
        await Promise.all(names.map(begin));
        await waitUntil(() => ended() === names.length, `the end of ${request('...').slice(0, 200)}`);
        await waitUntil(() => upstreams.every(({ closed }) => closed), 'the end of the connections to the host');
      };
      for (const request of requests) await passThrough(request, 30_000);
      await passThrough(long, 500);
    });
  }
});
