// Runs in the namespace that is measured. `client.ts HOST plain|tls NAME bytes COUNT` downloads once, and prints how many
// bytes and in how many seconds; `connections COUNT SECONDS` in place of it makes new connections for a while, so many at
// once, one request each, and prints how many and in how many seconds.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const [host = '', kind, name = '', what, countText, secondsText] = process.argv.slice(2);
const wanted = Number(countText);
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

async function download(): Promise<number> {
  const received = await get(`/bytes/${wanted}`);
  if (received < wanted) throw new Error(`${received} bytes of ${wanted}`);
  return received;
}

async function makeConnections(): Promise<number> {
  const end = performance.now() + 1000 * Number(secondsText);
  const made = Array.from({ length: wanted }, async () => {
    let count = 0;
    for (; performance.now() < end; count++) if ((await get('/')) === 0) throw new Error('no answer');
    return count;
  });
  return (await Promise.all(made)).reduce((sum, count) => sum + count, 0);
}

await get('/');
const started = performance.now();
const count = await (what === 'bytes' ? download() : makeConnections());
console.log(JSON.stringify({ count, seconds: (performance.now() - started) / 1000 }));
