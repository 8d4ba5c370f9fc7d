// What runs in the namespace that a test takes for the internet: web, echo and stream servers at every address.
// Usage: node outside-server.ts
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';

const TICK_MS = 20;

createHttpServer((request, response) => response.end(`outside ${request.socket.localAddress}`)).listen(80, '0.0.0.0');

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

function quietly(socket: Socket): Socket {
  return socket.on('error', () => {});
}
