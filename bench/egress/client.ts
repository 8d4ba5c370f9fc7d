// Runs in a namespace that is measured. `client.ts HOST plain|tls NAME` asks the host, by the name, for what lines of its
// stdin order: `bytes COUNT` is one download, `connections COUNT SECONDS` new connections for a while, so many at once, one
// request each. It answers each order with how many bytes or connections there were, and in how many seconds.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { connect as connectTls } from 'node:tls';

const [host = '', kind, name = ''] = process.argv.slice(2);
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

async function download(wanted: number): Promise<number> {
  const received = await get(`/bytes/${wanted}`);
  if (received < wanted) throw new Error(`${received} bytes of ${wanted}`);
  return received;
}

async function makeConnections(atOnce: number, seconds: number): Promise<number> {
  const end = performance.now() + 1000 * seconds;
  const made = Array.from({ length: atOnce }, async () => {
    let count = 0;
    for (; performance.now() < end; count++) if ((await get('/')) === 0) throw new Error('no answer');
    return count;
  });
  return (await Promise.all(made)).reduce((sum, count) => sum + count, 0);
}

for await (const order of createInterface({ input: process.stdin })) {
  const [what, count, seconds] = order.split(' ');
  const started = performance.now();
  const done = what === 'bytes' ? download(Number(count)) : makeConnections(Number(count), Number(seconds));
  console.log(JSON.stringify({ count: await done, seconds: (performance.now() - started) / 1000 }));
}
