// Public URLs as any client sees them: routing, private sandboxes, the masked host, protocols, the error answers.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, type RequestOptions, request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import WebSocket from 'ws';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** A server that says what it saw of a request. */
const ECHO = `node -e '
require("http").createServer((request, response) => {
  let length = 0;
  request.on("data", (chunk) => { length += chunk.length; });
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/next") {
      response.statusCode = 302;
      response.setHeader("location", "http://" + request.headers.host + "/there");
      response.setHeader("set-cookie", "a=b; Path=/; Domain=" + request.headers.host.replace(/:.*/, ""));
    }
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, length }));
  });
}).listen(4000)'`;

const WEBSOCKET = `python3 -c '
import socket, hashlib, base64
listener = socket.create_server(("0.0.0.0", 4100))
while True:
    peer, _ = listener.accept()
    head = peer.recv(65536).decode()
    key = [l.split(": ")[1] for l in head.split("\\r\\n") if l.lower().startswith("sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    peer.send(("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n").encode())
    frame = peer.recv(65536)
    length = frame[1] & 127
    text = bytes(b ^ frame[2 + i % 4] for i, b in enumerate(frame[6:6 + length]))
    peer.send(bytes([0x81, len(text)]) + text)
'`;

/** Echoes gRPC messages, and speaks no HTTP/1.1. */
const GRPC = `node -e '
require("http2").createServer().on("stream", (stream) => {
  stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.pipe(stream);
}).listen(PORT, "ADDRESS", () => console.log("up"))'`;

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  length: number;
}

for (const runtime of runtimes) {
  describe(`public URLs under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;
    let masked: Sandbox;
    let locked: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      [sandbox, masked, locked] = await Promise.all([
        Sandbox.create(server.options),
        Sandbox.create({ ...server.options, network: { maskRequestHost: 'localhost:${PORT}' } }),
        Sandbox.create({ ...server.options, network: { allowPublicTraffic: false } }),
      ]);
      for (const one of [sandbox, masked, locked]) await one.commands.run(ECHO, { background: true });
      await sandbox.commands.run(WEBSOCKET, { background: true });
      await waitFor('the servers inside answer', async () => {
        const token = locked.trafficAccessToken!;
        const answers = await Promise.all([
          fetch(url(sandbox, 4000)),
          fetch(url(masked, 4000)),
          fetch(url(locked, 4000), { headers: { 'e2b-traffic-access-token': token } }),
        ]);
        return answers.every(({ status }) => status === 200);
      });
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    function url(of: Sandbox, port: number, path = '/'): string {
      return `https://${of.getHost(port)}${path}`;
    }

    async function echo(target: string, init?: RequestInit): Promise<Echo> {
      const response = await fetch(target, init);
      assert.equal(response.status, 200);
      return (await response.json()) as Echo;
    }

    test('method, path, query, body and the outside address reach the app', async () => {
      const seen = await echo(url(sandbox, 4000, '/a%20b?c=d&e=;'), { method: 'POST', body: 'x'.repeat(3_000_000) });
      assert.deepEqual([seen.method, seen.url, seen.length], ['POST', '/a%20b?c=d&e=;', 3_000_000]);
      assert.equal(seen.headers.host, sandbox.getHost(4000));
      assert.equal(seen.headers['x-forwarded-proto'], 'https');
      assert.equal(seen.headers['x-forwarded-host'], sandbox.getHost(4000));
      assert.match(seen.headers['x-forwarded-for']!, /127\.0\.0\.1|::1/);
    });

    test('plain HTTP answers on the same port', async () => {
      const seen = await echo(url(sandbox, 4000).replace('https:', 'http:'));
      assert.equal(seen.headers['x-forwarded-proto'], 'http');
    });

    test('HTTP/2 answers, each stream for its own host name', async () => {
      const session = connectHttp2(`https://${sandbox.getHost(4000)}`);
      try {
        const seen = await Promise.all(
          [sandbox, masked, sandbox].map(async (target) => {
            const stream = session.request({ ':authority': target.getHost(4000), ':path': `/${target.sandboxId}` });
            const chunks: Buffer[] = [];
            for await (const chunk of stream) chunks.push(chunk as Buffer);
            return JSON.parse(Buffer.concat(chunks).toString()) as Echo;
          }),
        );
        assert.equal(seen[0]!.headers.host, sandbox.getHost(4000));
        assert.equal(seen[1]!.headers.host, 'localhost:4000');
        assert.equal(seen[2]!.url, `/${sandbox.sandboxId}`);
      } finally {
        session.close();
      }
    });

    async function sayHello(to: Sandbox, port: number): Promise<boolean> {
      const socket = new WebSocket(url(to, port).replace('https:', 'wss:'));
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      const answer = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
      socket.send('hello through the gateway');
      assert.equal(await answer, 'hello through the gateway');
      socket.terminate();
      return true;
    }

    test('a WebSocket goes through', async () => {
      await waitFor('the server inside answers', () => sayHello(sandbox, 4100));
    });

    test('maskRequestHost is what the app sees as Host, with the port asked for', async () => {
      const seen = await echo(url(masked, 4000));
      assert.equal(seen.headers.host, 'localhost:4000');
      assert.equal(seen.headers['x-forwarded-host'], masked.getHost(4000));
    });

    test('maskRequestOrigin has the app take the public origin for its masked one, and lead back to it', async () => {
      const network = { maskRequestHost: 'localhost:${PORT}', maskRequestOrigin: true };
      await using whole = await OwnSandbox.create({ ...server.options, network });
      await whole.commands.run(ECHO, { background: true });
      const origin = `https://${whole.getHost(4000)}`;
      await waitFor('the server inside answers', async () => (await fetch(origin)).ok);
      const seen = await echo(`${origin}/a`, { headers: { origin, referer: `${origin}/b` } });
      assert.deepEqual(
        [seen.headers.host, seen.headers.origin, seen.headers.referer],
        ['localhost:4000', 'http://localhost:4000', 'http://localhost:4000/b'],
      );
      const led = await fetch(`${origin}/next`, { redirect: 'manual' });
      assert.deepEqual(
        [led.headers.get('location'), led.headers.get('set-cookie')],
        [`${origin}/there`, 'a=b; Path=/'],
      );
      // Without the option the app is led nowhere else than it said.
      const plain = await fetch(url(masked, 4000, '/next'), { redirect: 'manual', headers: { origin } });
      assert.equal(plain.headers.get('location'), 'http://localhost:4000/there');
    });

    test('a private sandbox answers only with its token, which the app never sees', async () => {
      const missing = await fetch(url(locked, 4000));
      assert.equal(missing.status, 403);
      assert.match(((await missing.json()) as { message: string }).message, /'e2b-traffic-access-token' is missing$/);
      const wrong = await fetch(url(locked, 4000), { headers: { 'e2b-traffic-access-token': sandbox.sandboxId } });
      assert.equal(wrong.status, 403);
      assert.match(((await wrong.json()) as { message: string }).message, /is invalid$/);
      const seen = await echo(url(locked, 4000), {
        headers: { 'e2b-traffic-access-token': locked.trafficAccessToken! },
      });
      assert.equal(seen.headers['e2b-traffic-access-token'], undefined);
      const closed = await fetch(url(locked, 4999));
      assert.equal(closed.status, 403, 'the token is checked before the port');
    });

    test('a signed URL opens one private port until it ends or is revoked', async () => {
      const own = await OwnSandbox.connect(locked.sandboxId, server.options);
      const signed = await own.getSignedUrl(4000, { expiresIn: '1h', path: '/app?a=b' });
      const seen = await echo(signed);
      assert.equal(seen.url, '/app?a=b');
      assert.equal((await fetch(signed.replace('4000-', '4001-'))).status, 403);
      const cli = fileURLToPath(new URL('../../packages/cli/src/main.js', import.meta.url));
      const args = [cli, 'url', locked.sandboxId, '4000', '--data', server.data, '--signed', '--expires', '6s'];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const short = stdout.trim();
      assert.equal((await fetch(short)).status, 200);
      await waitFor('it has ended', async () => (await fetch(short)).status === 403);
      await own.revokeSignedUrls();
      assert.equal((await fetch(signed)).status, 403);
      assert.equal((await fetch(await own.getSignedUrl(4000))).status, 200);
      const open = await OwnSandbox.connect(sandbox.sandboxId, server.options);
      await assert.rejects(open.getSignedUrl(4000), { code: 'port_is_public' });
      await assert.rejects(own.getSignedUrl(4000, { expiresIn: '31d' }), /expected 1 to 2592000 seconds/);
      await assert.rejects(own.getSignedUrl(4000, { expiresIn: '1 hour' }), /expiresIn is "1 hour"/);
    });

    test('a closed port answers 502 and says which', async () => {
      const response = await fetch(url(sandbox, 4999));
      assert.equal(response.status, 502);
      assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
      assert.equal(
        await response.text(),
        `{"sandboxId":"${sandbox.sandboxId}","message":"The sandbox is running but port is not open","port":4999,"code":502}`,
      );
    });

    test('a person gets a page for a closed port', async () => {
      const headers = { accept: 'text/html', 'user-agent': 'Mozilla/5.0 Chrome/150', 'sec-fetch-mode': 'navigate' };
      const answer = await get(`${url(sandbox, 4999)}`, { headers });
      assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
      assert.match(answer.body, /^<html.*no service running on port.*<\/html>\s*$/is);
      assert(answer.body.includes(sandbox.sandboxId) && answer.body.includes('4999'));
    });

    test('an unknown sandbox answers 502, a malformed host 400', async () => {
      const { domain } = server.connection;
      const unknown = await fetch(`https://3000-${'i'.padEnd(21, 'x')}.${domain}/`);
      assert.equal(unknown.status, 502);
      assert.equal(((await unknown.json()) as { message: string }).message, 'The sandbox was not found');
      assert.equal((await fetch(`https://nothing.${domain}/`)).status, 400);
      assert.equal((await fetch(`https://99999-${sandbox.sandboxId}.${domain}/`)).status, 400);
    });

    test('one connection can ask for several sandboxes, and each request gets its own', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const ports = new Set<number>();
      for (const host of [sandbox, masked, sandbox, masked].map((one) => one.getHost(4000))) {
        const servername = sandbox.getHost(4000).split(':')[0]!;
        const answer = await get(url(sandbox, 4000), { agent, servername, headers: { host } });
        ports.add(answer.localPort);
        assert.equal((JSON.parse(answer.body) as Echo).headers['x-forwarded-host'], host);
      }
      agent.destroy();
      assert.equal(ports.size, 1, 'the connection was reused');
    });

    test('the control routes of the agent are not reachable from outside', async () => {
      for (const path of ['/init', '/init/', '//init', '/x/../init', '/%69nit']) {
        const { status } = await get(`https://${sandbox.getHost(49983)}/`, { method: 'POST', path });
        assert.equal(status, 404, path);
      }
    });

    test('servers on the loopback address only are reached at once, for every kind of request', async () => {
      for (const [address, port] of [
        ['127.0.0.1', 5001],
        ['::1', 5002],
      ] as const) {
        const server = await sandbox.commands.run(
          ECHO.replace('listen(4000)', `listen(${port}, "${address}", () => console.log("up"))`),
          {
            background: true,
          },
        );
        await waitFor('it listens', () => server.stdout.includes('up'));
        // The very first request, and one that cannot be sent twice.
        const seen = await echo(url(sandbox, port, '/x'), { method: 'POST', body: 'y'.repeat(2_000_000) });
        assert.deepEqual([seen.method, seen.url, seen.length], ['POST', '/x', 2_000_000], address);
        const many = await Promise.all(Array.from({ length: 20 }, (_, index) => echo(url(sandbox, port, `/${index}`))));
        assert.deepEqual(
          many.map((one) => one.url),
          many.map((_, index) => `/${index}`),
        );
        await server.kill();
        await waitFor('the port is closed', async () => (await fetch(url(sandbox, port))).status === 502);
      }
      const script = WEBSOCKET.replace('0.0.0.0', '127.0.0.1').replace('4100', '4200');
      await sandbox.commands.run(script, { background: true });
      await waitFor('a WebSocket on the loopback answers', () => sayHello(sandbox, 4200));
      const tunnel = {
        method: 'GET',
        path: '/tunnel',
        headers: { connection: 'upgrade', upgrade: 'sandport-loopback', 'x-tunnel-port': '4000' },
      };
      assert.equal((await get(`https://${sandbox.getHost(49983)}/`, tunnel)).status, 404, 'nobody else has a tunnel');
    });

    test('a gRPC server is reached over HTTP/2 to the end, on every address or the loopback only', async () => {
      for (const [address, port] of [
        ['0.0.0.0', 5101],
        ['127.0.0.1', 5102],
      ] as const) {
        const script = GRPC.replace('ADDRESS', address).replace('PORT', String(port));
        const grpc = await sandbox.commands.run(script, { background: true });
        await waitFor('it listens', () => grpc.stdout.includes('up'));
        const session = connectHttp2(url(sandbox, port));
        const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' });
        const trailers = once(stream, 'trailers');
        // One message in gRPC's framing, and its echo.
        const message = Buffer.from([0, 0, 0, 0, 2, 0x68, 0x69]);
        stream.end(message);
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        assert.deepEqual(Buffer.concat(chunks), message, address);
        assert.equal((await trailers)[0]['grpc-status'], '0');
        session.close();
      }
    });

    test('a port that asks for HTTP/2 gets it from clients that speak it, also after a pause', async () => {
      const network = { http2Ports: [5103] };
      await using speaker = await OwnSandbox.create({ ...server.options, network });
      const script = GRPC.replace('ADDRESS', '0.0.0.0')
        .replace('PORT', '5103')
        .replace('application/grpc', 'text/plain');
      const address = `https://${speaker.getHost(5103)}`;
      const ask = async (): Promise<string> => {
        const session = connectHttp2(address);
        session.on('error', () => {});
        const stream = session.request({ ':method': 'POST' });
        stream.on('error', () => {});
        stream.end('hello');
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        session.close();
        return Buffer.concat(chunks).toString();
      };
      const keepMemory = runtime === 'runsc';
      const run = async () => {
        const http2 = await speaker.commands.run(script, { background: true });
        await waitFor('it listens', () => http2.stdout.includes('up'));
      };
      await run();
      assert.equal(await ask(), 'hello');
      assert.deepEqual((await OwnSandbox.getFullInfo(speaker.sandboxId, server.options)).network?.http2Ports, [5103]);
      await speaker.pause({ keepMemory });
      await speaker.connect();
      if (!keepMemory) await run();
      await waitFor('it answers again', async () => (await ask().catch(() => '')) === 'hello');
    });

    test('after a kill its URLs answer 502', async () => {
      const short = await Sandbox.create(server.options);
      assert.equal(await short.isRunning(), true);
      assert.equal(await short.kill(), true);
      assert.equal((await fetch(url(short, 3000))).status, 502);
      assert.equal(await short.isRunning(), false);
      assert.equal(await short.kill(), false);
    });
  });
}

/** A request with nothing added to it, as fetch would. */
function get(url: string, options: RequestOptions & { servername?: string }) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string; localPort: number }>(
    (resolve, reject) => {
      const call = request(url, options, (response) => {
        const localPort = response.socket.localPort!;
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
            localPort,
          });
        });
      });
      call.on('error', reject);
      call.end();
    },
  );
}
