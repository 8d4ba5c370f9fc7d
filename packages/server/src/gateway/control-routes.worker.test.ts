// Control routes of the agent in random spellings, through a real worker process: the agent must never see one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { HttpOrigin, nextAddress } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';
import { spellings } from './testing/spellings.ts';

const ROUTES = ['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade', '/tunnel'];
const HOST = `49983-agent.${DOMAIN}`;
/** Seeded, so that a failure comes again; the unit test beside the function tries others. */
const TARGETS = ROUTES.flatMap((route) => fc.sample(spellings(route), { numRuns: 40, seed: 7 }));

let control: FakeControl;
let agent: HttpOrigin;
let session: ClientHttp2Session;
const reached: string[] = [];

before(async () => {
  agent = await HttpOrigin.start(
    (request, response) => {
      reached.push(request.url!);
      response.end('reached');
    },
    nextAddress(),
    49983,
  );
  agent.server.on('upgrade', (request, socket) => {
    reached.push(request.url!);
    socket.destroy();
  });
  control = await FakeControl.start([
    { sandboxId: 'agent', generation: 'g1', address: agent.address, access: { kind: 'public' } },
  ]);
  session = connect(`https://127.0.0.1:${control.port}`, { rejectUnauthorized: false });
  await once(session, 'connect');
});

after(async () => {
  session.destroy();
  await control[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

async function overHttp2(path: string, headers: Record<string, string> = {}): Promise<number> {
  const stream = session.request({ ':authority': HOST, ':method': 'POST', ':path': path, ...headers });
  stream.resume().end();
  const [fields] = await once(stream, 'response');
  if (!stream.closed) await once(stream, 'close');
  return fields[':status'] as number;
}

async function overHttp1(head: string): Promise<string> {
  using client = new RawClient(control.port);
  client.send(head);
  return (await client.expect(/^HTTP\/1\.1 [0-9]{3}/)).slice(-3);
}

describe('control routes of the agent', () => {
  it('are refused over HTTP/1.1 in any spelling', async () => {
    for (const target of TARGETS) {
      const status = await overHttp1(`POST ${target} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0\r\n\r\n`);
      assert.equal(status, '404', target);
    }
    assert.deepEqual(reached, []);
  });

  it('are refused over HTTP/2 in any spelling', async () => {
    for (const target of TARGETS) assert.equal(await overHttp2(target), 404, target);
    assert.deepEqual(reached, []);
  });

  it('are refused with every method, host form and way to name a target', async () => {
    const { port } = control;
    for (const head of [
      ...['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'ANY'].map(
        (method) => `${method} /init HTTP/1.1\r\nHost: ${HOST}`,
      ),
      `POST http://${HOST}/init HTTP/1.1\r\nHost: ${HOST}`,
      `POST HTTPS://${HOST}//tunnel?x HTTP/1.1\r\nHost: ${HOST}`,
      `POST http://other.example/init HTTP/1.1\r\nHost: ${HOST}`,
      'POST /init HTTP/1.1\r\nHost: 49983-AGENT.BOX.TEST',
      `POST /init HTTP/1.1\r\nHost: ${HOST}.`,
      `POST /init HTTP/1.1\r\nHost: ${HOST}:${port}`,
      `POST /init HTTP/1.0\r\nHost: ${HOST}`,
      `POST /init HTTP/1.1\r\nHost: 49983-agent-client.${DOMAIN}`,
      `POST /init HTTP/1.1\r\nHost: sandbox.${DOMAIN}\r\nE2b-Sandbox-Id: agent\r\nE2b-Sandbox-Port: 49983`,
      `POST /init HTTP/1.1\r\nHost: 127.0.0.1\r\nE2b-Sandbox-Id: agent\r\nE2b-Sandbox-Port: 049983`,
      `POST init HTTP/1.1\r\nHost: ${HOST}`,
      `POST *init HTTP/1.1\r\nHost: ${HOST}`,
      `POST /init#x HTTP/1.1\r\nHost: ${HOST}`,
      `GET /tunnel HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: sandport-loopback\r\nX-Tunnel-Port: 22`,
      `GET /files/..%2ftunnel HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: sandport-loopback`,
      `CONNECT ${HOST} HTTP/1.1\r\nHost: ${HOST}`,
    ]) {
      const status = await overHttp1(`${head}\r\n\r\n`);
      assert.match(status, /^4|501/, head);
    }
    for (const path of ['init', '*', 'http://x/init', '/init#x']) {
      assert.ok((await overHttp2(path).catch(() => 400)) >= 400, path);
    }
    assert.deepEqual(reached, []);
  });

  it('leave the agent to everything else', async () => {
    assert.equal(await overHttp1(`GET /health HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`), '200');
    assert.equal(await overHttp2('/process.Process/Start'), 200);
    assert.deepEqual(reached, ['/health', '/process.Process/Start']);
  });
});
