// What runs in the namespace that a test takes for the internet: web, echo and stream servers at every address, and a
// nameserver. Usage: node outside-server.ts SECRET, from which the key of its certificate authority is derived.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { readQuestion } from '@sandport/server/dns/message';
import { withLength } from '@sandport/server/dns/upstream';
import { LeafCertificates } from '@sandport/server/egress/leaf-certificates';

const TICK_MS = 20;
const ZEROS = Buffer.alloc(256 * 1024);
const NAMESERVER = '203.0.113.53';
const FIRST = [203, 0, 113, 10];
const SECOND = [203, 0, 113, 20];
const ZONE: Readonly<Record<string, readonly (readonly number[])[]>> = {
  'allowed.test': [FIRST],
  'wild.test': [FIRST],
  'api.wild.test': [FIRST],
  'deep.api.wild.test': [FIRST],
  'both.test': [SECOND, FIRST],
  'other.test': [SECOND],
  'distrusted.test': [FIRST],
  'proxy.test': [FIRST],
  'permitted.test': [[100, 64, 113, 10]],
  'large.test': Array.from({ length: 120 }, (_, index) => [203, 0, 113, 100 + index]),
  'metadata.test': [[169, 254, 169, 254]],
  'inner.test': [FIRST, [10, 0, 0, 1]],
  'zero.test': [[0, 0, 0, 0]],
  'loopback.test': [[127, 0, 0, 53]],
  'shared.test': [[100, 64, 0, 1]],
  'protocol.test': [[192, 0, 0, 8]],
  'slot.test': [[198, 18, 0, 1]],
  'reserved.test': [[240, 0, 0, 1]],
  'everyone.test': [[255, 255, 255, 255]],
  /** The machine's own address, which is on this internet. */
  'machine.test': [[203, 0, 113, 1]],
};
/** A name by way of another, which is that of something private. */
const ALIASES: Readonly<Record<string, string>> = { 'alias.test': 'metadata.test' };
const secret = process.argv[2] ?? '';

/** Connections whose next request comes just as they are closed. */
const leaving = new WeakSet<Socket>();

const onRequest: RequestListener = (request, response) => {
  if (leaving.has(request.socket)) return void request.socket.destroy();
  if (request.url === '/last') leaving.add(request.socket);
  if (request.url === '/headers') return void response.end(JSON.stringify(request.headers));
  if (request.url === '/asked') return void response.end(JSON.stringify([...asked]));
  const wanted = /^\/bytes\/(\d{1,12})$/.exec(request.url ?? '')?.[1];
  if (wanted !== undefined) return void Readable.from(zeros(Number(wanted))).pipe(response);
  if (request.url === '/dialled') return void response.end(JSON.stringify(dialled));
  if (request.method === 'POST') return void request.pipe(response);
  response.end(`outside ${request.socket.localAddress}`);
};

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}

/** Agrees to any upgrade, and then sends everything back. */
function withEcho(server: HttpServer): HttpServer {
  return server.on('upgrade', (request, socket: Socket) => {
    socket.on('error', () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
}

for (const port of [80, 8080]) withEcho(createHttpServer(onRequest)).listen(port, '0.0.0.0');

const certificates = new LeafCertificates();
const tls = {
  SNICallback: (
    name: string,
    done: (error: Error | null, context?: Awaited<ReturnType<LeafCertificates['contextOf']>>) => void,
  ) => {
    // As an attacker would, it takes any name for its own.
    certificates.contextOf(name === 'distrusted.test' ? `${secret} other` : secret, name).then(
      (context) => done(null, context),
      (error: Error) => done(error),
    );
  },
};
for (const port of [443, 8443]) withEcho(createHttpsServer(tls, onRequest)).listen(port, '0.0.0.0');

/** A line every few milliseconds, for as long as the other side listens. */
createServer((socket) => {
  const timer = setInterval(() => socket.write('tick\n'), TICK_MS);
  quietly(socket).on('close', () => clearInterval(timer));
}).listen(7000, '0.0.0.0');

/** Everything comes back. */
createServer((socket) => quietly(socket).pipe(socket)).listen(7001, '0.0.0.0');

/** One packet asks for packets for ever. */
const udp = createSocket('udp4', (_message, { port, address }) => {
  setInterval(() => udp.send('tick\n', port, address), TICK_MS);
}).bind(7002);

/** Names that were asked for. */
const asked = new Set<string>();

function answer(query: Buffer, most: number): Buffer {
  const { name, end, type } = readQuestion(query)!;
  asked.add(name);
  const alias = ALIASES[name];
  const found = ZONE[alias ?? name];
  const addresses = type === 1 ? (found ?? []) : [];
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(0, 10);
  const target = alias === undefined ? [0xc0, 12] : encodedName(alias);
  const records = addresses.map((bytes) => Buffer.from([...target, 0, 1, 0, 1, 0, 0, 0, 2, 0, 4, ...bytes]));
  if (alias !== undefined) {
    records.unshift(Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 2, 0, target.length, ...target]));
  }
  const whole = Buffer.concat([head, ...records]);
  whole.writeUInt16BE(records.length, 6);
  if (whole.length <= most) return whole;
  head[2]! |= 0x02;
  return head;
}

function encodedName(name: string): number[] {
  return [...name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
}

const dns = createSocket('udp4', (query, { port, address }) => dns.send(answer(query, 1232), port, address));
dns.bind(53, NAMESERVER);
createServer((socket) => {
  quietly(socket).on('data', (data: Buffer) => socket.end(withLength(answer(data.subarray(2), 65_535))));
}).listen(53, NAMESERVER);

function quietly(socket: Socket): Socket {
  return socket.on('error', () => {});
}

/** A SOCKS5 proxy (RFC 1928) that asks for a user and a password, resolves names itself, and remembers what it dialled. */
const dialled: string[] = [];
createServer((socket) => {
  quietly(socket).once('data', () => {
    socket.write(Buffer.from([5, 2]));
    socket.once('data', (credentials: Buffer) => {
      const allowed = credentials.subarray(1).toString('latin1') === '\x04user\x08password';
      socket.write(Buffer.from([1, allowed ? 0 : 1]));
      if (!allowed) return void socket.end();
      socket.once('data', (request: Buffer) => {
        const isName = request[3] === 3;
        const host = isName ? request.toString('latin1', 5, 5 + request[4]!) : request.subarray(4, 8).join('.');
        const port = request.readUInt16BE(request.length - 2);
        dialled.push(`${host}:${port}`);
        const upstream = connect(port, isName ? (ZONE[host]?.[0]?.join('.') ?? '') : host, () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          socket.pipe(upstream).pipe(socket);
        });
        quietly(upstream).on('error', () => socket.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])));
      });
    });
  });
}).listen(1080, '0.0.0.0');
