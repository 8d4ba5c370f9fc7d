// Connections that are over before it is known where they lead: in the process that all sandboxes share, none of them may
// be left behind or taken for one that still is.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { readQuestion } from '../dns/message.ts';
import { NameLookup } from '../dns/name-lookup.ts';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { type EgressPolicy, EVERYTHING, OPEN } from '../host/network/egress-policy.ts';
import { Dialler } from './dialler.ts';
import { EgressProxy } from './egress-proxy.ts';
import { Interceptor } from './interceptor.ts';
import { LeafCertificates } from './leaf-certificates.ts';
import type { LightSocket } from './light-socket.ts';
import { ReachableRanges, SandboxEgress } from './sandbox-egress.ts';

const NAME = 'allowed.test';
/** TEST-NET-3 (RFC 5737): an address of the internet that nobody has. */
const ADDRESS = [203, 0, 113, 10];
const NAMED: EgressPolicy = { ...OPEN, domains: [NAME], deny: [EVERYTHING] };
const WITH_HEADERS: EgressPolicy = {
  ...NAMED,
  transforms: [{ domain: NAME, headers: { 'X-Team': 'one' } }],
  authority: 'secret of the authority',
};

interface Connected extends AsyncDisposable {
  readonly client: Socket;
  readonly sandbox: SandboxEgress;
  /** The proxy's end of the client's connection, as it was accepted. */
  readonly accepted: LightSocket;
  /** The nameserver was asked; has it answer. */
  readonly asked: Promise<() => void>;
}

interface Waiting extends Connected {
  /** Has the nameserver answer. */
  readonly answer: () => void;
}

/** A connection that has sent `first`, from a client whose rules are `policy`. */
async function connected(
  policy: EgressPolicy,
  first: Buffer | string,
  { address = ADDRESS, port = typeof first === 'string' ? 80 : 443, permitted = [] as readonly string[] } = {},
): Promise<Connected> {
  await using resources = new AsyncDisposableStack();
  const asked = Promise.withResolvers<() => void>();
  // Nameservers answer on port 53 only, of which every loopback address has one.
  const nameserver = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const dns = createSocket('udp4', (query, peer) => {
    const question = Buffer.from(query.subarray(0, readQuestion(query)!.end));
    const message = Buffer.concat([question, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, ...address])]);
    message.writeUInt16BE(0x8180, 2);
    message.set([0, 1, 0, 1, 0, 0, 0, 0], 4);
    asked.resolve(() => dns.send(message, peer.port, peer.address));
  });
  dns.bind(53, nameserver);
  await once(dns, 'listening');
  resources.defer(() => void dns.close());
  const sandbox = new SandboxEgress({ address: '127.0.0.1', policy }, new ReachableRanges(permitted));
  const lookup = new NameLookup([nameserver]);
  resources.defer(() => lookup.close());
  const accepted = Promise.withResolvers<LightSocket>();
  const proxy = new EgressProxy({
    sandboxOf: () => sandbox,
    // The packet filter's part, which knows it of redirected connections only.
    originalDestination: (socket) => {
      accepted.resolve(socket);
      return { address: address.join('.'), port };
    },
    dialler: new Dialler(lookup),
    interceptor: new Interceptor(new LeafCertificates()),
    maxConnections: 100,
  });
  const client = connect(proxy.listen(), '127.0.0.1');
  resources.defer(() => proxy.close());
  resources.defer(() => cutAll(sandbox));
  client.on('error', () => {});
  resources.defer(() => void client.destroy());
  client.write(first);
  const own = await accepted.promise;
  const owned = resources.move();
  return { client, sandbox, accepted: own, asked: asked.promise, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** One whose name has to be looked up. */
async function waiting(...of: Parameters<typeof connected>): Promise<Waiting> {
  const connection = await connected(...of);
  return { ...connection, answer: await connection.asked };
}

/** The first message of a client that wants TLS with the host. */
async function hello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: '127.0.0.1', servername: NAME });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

function cutAll({ connections }: SandboxEgress): void {
  for (const connection of connections) connection.cut();
}

describe('a connection that is over before its name has been looked up', { timeout: 8000 }, () => {
  const plain = `GET / HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;
  const upgrade = `GET / HTTP/1.1\r\nHost: ${NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const kinds: readonly (readonly [string, EgressPolicy, Buffer | string | Promise<Buffer>])[] = [
    ['TLS', NAMED, hello()],
    ['a request', NAMED, plain],
    ['an upgrade', NAMED, upgrade],
    ['TLS that gets headers', WITH_HEADERS, hello()],
    ['a request that gets headers', WITH_HEADERS, plain],
  ];
  for (const [what, policy, first] of kinds) {
    test(`${what}, reset by its client, is forgotten and dials nobody`, async () => {
      await using connection = await waiting(policy, await first);
      const { client, sandbox, accepted, answer } = connection;
      client.resetAndDestroy();
      await waitUntil(() => accepted.destroyed, 'the end of the connection');
      answer();
      await waitUntil(() => sandbox.connections.size === 0, 'the end of the accounts');
      assert.equal(sandbox.traffic.connections, 0);
    });

    test(`${what}, cut by a change of rules, is forgotten and dials nobody`, async () => {
      await using connection = await waiting(policy, await first);
      const { sandbox, answer } = connection;
      sandbox.apply({ address: sandbox.address, policy: { ...OPEN, deny: [EVERYTHING] } });
      answer();
      await waitUntil(() => sandbox.connections.size === 0, 'the end of the accounts');
      assert.equal(sandbox.traffic.connections, 0);
    });
  }
});

test('a connection that is cut while a certificate is made for it is forgotten', { timeout: 8000 }, async () => {
  await using connection = await waiting(WITH_HEADERS, await hello());
  const { sandbox, answer } = connection;
  answer();
  await waitUntil(() => sandbox.traffic.connections === 1, 'the account of the connection');
  cutAll(sandbox);
  await waitUntil(() => sandbox.connections.size === 0, 'the end of the accounts');
});

test('one that ends within its first message is forgotten', { timeout: 8000 }, async () => {
  await using connection = await connected(NAMED, 'GET / HTTP/1.1\r\nHo');
  const { client, sandbox } = connection;
  await waitUntil(() => sandbox.connections.size === 1, 'the account of the connection');
  client.resetAndDestroy();
  await waitUntil(() => sandbox.connections.size === 0, 'the end of the accounts');
  assert.deepEqual(sandbox.denials, []);
});

test('one to a host that refuses it is reset and forgotten', { timeout: 8000 }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  const options = { address: [127, 0, 0, 1], port, permitted: ['127.0.0.0/8'] };
  await using connection = await waiting(NAMED, `GET / HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, options);
  const { client, sandbox, answer } = connection;
  let code: string | undefined;
  client.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  answer();
  await waitUntil(() => code !== undefined, 'the end of the connection');
  assert.equal(code, 'ECONNRESET');
  await waitUntil(() => sandbox.connections.size === 0, 'the end of the accounts');
  assert.equal(sandbox.traffic.connections, 1);
});
