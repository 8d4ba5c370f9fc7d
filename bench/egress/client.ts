// Runs in the namespace that is measured: `client.ts HOST plain|tls NAME BYTES SECONDS`. Downloads once, then makes new
// connections for a while, one request each; prints bytes and connections a second.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const PARALLEL = 8;
const [host = '', kind, name = '', bytesText, secondsText] = process.argv.slice(2);
const bytes = Number(bytesText);
const buffer = Buffer.alloc(256 * 1024);

/** Resolves with what the answer had of bytes. */
function get(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const count = (length: number): boolean => {
      received += length;
      return true;
    };
    const onread = { buffer, callback: count };
    const request = `GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;
    const socket: Socket =
      kind === 'tls'
        ? connectTls({ host, port: 443, servername: name, rejectUnauthorized: false })
        : connect({ host, port: 80, onread });
    if (kind === 'tls') socket.on('data', (chunk: Buffer) => count(chunk.length));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.write(request);
  });
}

await get('/');
const started = performance.now();
const received = await get(`/bytes/${bytes}`);
if (received < bytes) throw new Error(`${received} bytes of ${bytes}`);
const bytesPerSecond = (received * 1000) / (performance.now() - started);

let connections = 0;
const begun = performance.now();
const end = begun + 1000 * Number(secondsText);
await Promise.all(
  Array.from({ length: PARALLEL }, async () => {
    while (performance.now() < end) {
      if ((await get('/')) === 0) throw new Error('no answer');
      connections++;
    }
  }),
);
const connectionsPerSecond = (connections * 1000) / (performance.now() - begun);
console.log(JSON.stringify({ bytesPerSecond, connections, connectionsPerSecond }));
