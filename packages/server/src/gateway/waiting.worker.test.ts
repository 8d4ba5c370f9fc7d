// Requests for a sandbox that does not run now: they wait, wake it once, and are answered when it is there.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect as connectHttp2, constants } from 'node:http2';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { GatewayUpward, Route } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { getFrom } from './testing/get.ts';
import { HttpOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const isWake = (message: GatewayUpward) => message.type === 'wake' && message.sandboxId === 'one';

let origin: HttpOrigin;
let control: FakeControl;
let generation = 0;

before(async () => {
  origin = await HttpOrigin.start((request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end(`${request.method} ${request.url} ${bytes}.`));
  });
});
after(() => origin[Symbol.asyncDispose]());
beforeEach(async () => {
  control = await FakeControl.start([held()]);
});
afterEach(() => control[Symbol.asyncDispose]());

function held(over: Partial<Route> = {}): Route {
  return {
    sandboxId: 'one',
    generation: `g${generation++}`,
    address: '0.0.0.0',
    access: { kind: 'public' },
    held: { wake: true },
    ...over,
  };
}

function running(): Route {
  return { sandboxId: 'one', generation: `g${generation++}`, address: origin.address, access: { kind: 'public' } };
}

const host = () => `${origin.port}-one.${DOMAIN}`;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\n\r\n`;
const start = () => control.apply({ type: 'set-route', route: running() });

/** Counts what the worker asks for until it has applied another change. */
async function wakesUntil(change: () => Promise<void>): Promise<number> {
  const before = control.messages.length;
  await change();
  return control.messages.slice(before).filter(isWake).length;
}

describe('a sandbox that does not run', () => {
  it('and is not woken by requests says so at once, to programs and to people', async () => {
    await control.apply({ type: 'set-route', route: held({ held: { wake: false, paused: true } }) });
    const program = await getFrom(control.port, host());
    assert.equal(program.status, 502);
    assert.match(program.headers['content-type']!, /json/);
    const answer = JSON.parse(program.body) as { sandboxId: string; code: number };
    assert.deepEqual([answer.sandboxId, answer.code], ['one', 502]);
    const person = await getFrom(control.port, host(), {
      headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'user-agent': 'Mozilla/5.0' },
    });
    assert.equal(person.status, 502);
    assert.match(person.headers['content-type']!, /html/);
    assert.match(person.body, /paused/);
    assert.equal(control.messages.filter(isWake).length, 0);
  });

  it('is woken once by however many requests, and all of them are answered in order', async () => {
    const clients = Array.from({ length: 20 }, () => new RawClient(control.port));
    const woken = control.next(isWake);
    for (const client of clients) client.send(get('/a') + get('/b'));
    await woken;
    // A refusal says that the worker has read everything before it.
    using last = new RawClient(control.port);
    last.send('GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n');
    await last.expect(/400/);
    await start();
    for (const client of clients) {
      assert.doesNotMatch(await client.expect(/GET \/b 0\./), /HTTP\/1\.1 [^2]/);
      client[Symbol.dispose]();
    }
    assert.equal(control.messages.filter(isWake).length, 1);
  });

  it('is given a body whole that was not read before', async () => {
    using client = new RawClient(control.port);
    const body = 'x'.repeat(20_000_000);
    const woken = control.next(isWake);
    client.send(`POST /body HTTP/1.1\r\nHost: ${host()}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await woken;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert(client.socket.writableLength > 1_000_000, 'most of the body has not left the client');
    await start();
    await client.expect(/POST \/body 20000000\./);
    client.send(get('/next'));
    await client.expect(/GET \/next 0\./);
  });

  it('is woken by HTTP/2 too, with the body and what comes behind it', async () => {
    const session = connectHttp2(`http://127.0.0.1:${control.port}`);
    try {
      const woken = control.next(isWake);
      const answers = ['/a', '/b'].map(async (path) => {
        const stream = session.request({ ':method': 'POST', ':path': path, ':authority': host() });
        stream.end(Buffer.alloc(300_000));
        let text = '';
        for await (const chunk of stream.setEncoding('utf8')) text += chunk;
        return text;
      });
      // One that its client gives up is no matter.
      const given = session.request({ ':path': '/gone', ':authority': host() });
      given.on('error', () => {});
      await woken;
      given.close(constants.NGHTTP2_CANCEL);
      await start();
      assert.deepEqual(await Promise.all(answers), ['POST /a 300000.', 'POST /b 300000.']);
    } finally {
      session.destroy();
    }
  });

  it('is not woken where the route only says to wait', async () => {
    await control.apply({ type: 'set-route', route: held({ held: { wake: false } }) });
    using client = new RawClient(control.port);
    client.send(get('/a'));
    using other = new RawClient(control.port);
    other.send('GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n');
    await other.expect(/400/);
    assert.equal(await wakesUntil(start), 0);
    await client.expect(/GET \/a 0\./);
  });

  it('that cannot be resumed says why, to programs and to browsers, and the next request tries again', async () => {
    const cases = [
      ['url_too_many_sandboxes', /HTTP\/1\.1 429 .*Sandbox limit reached/s],
      ['url_machine_full', /HTTP\/1\.1 503 .*The machine has no room/s],
      ['url_wake_failed', /HTTP\/1\.1 502 .*could not be resumed/s],
      ['url_sandbox_not_found', /HTTP\/1\.1 502 .*The sandbox was not found/s],
    ] as const;
    for (const [code, answer] of cases) {
      using client = new RawClient(control.port);
      const woken = control.next(isWake);
      client.send(get('/a'));
      await woken;
      control.send({ type: 'wake-failed', sandboxId: 'one', code });
      await client.expect(answer);
      assert.equal(await client.untilEnded(), 'end');
    }
    using client = new RawClient(control.port);
    const woken = control.next(isWake);
    client.send(get('/a').replace('\r\n\r\n', '\r\nUser-Agent: Mozilla/5.0 Firefox/140\r\n\r\n'));
    await woken;
    control.send({ type: 'wake-failed', sandboxId: 'one', code: 'url_sandbox_not_found' });
    await client.expect(/HTTP\/1\.1 502 .*text\/html.*<\/html>/s);
  });

  it('that is removed while requests wait is not found', async () => {
    using client = new RawClient(control.port);
    const woken = control.next(isWake);
    client.send(get('/a'));
    await woken;
    await control.apply({ type: 'delete-route', sandboxId: 'one' });
    await client.expect(/HTTP\/1\.1 502 .*The sandbox was not found/s);
  });

  it('is woken only by who has access, also to its agent', async () => {
    const keys = { sessionKey: '0'.repeat(64), urlKey: '1'.repeat(64) };
    const access = { kind: 'token', tokenSha256: sha256('let-me-in'), ...keys } as const;
    const agentTokenSha256 = sha256('agent-token');
    await control.apply({ type: 'set-route', route: held({ access, held: { wake: true, agentTokenSha256 } }) });
    const ask = async (name: string, header: string) => {
      using client = new RawClient(control.port);
      client.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n${header}\r\n`);
      return await client.expect(/HTTP\/1\.1 \d+.*"code":\d+/s);
    };
    const agent = `49983-one.${DOMAIN}`;
    const refused = [
      await ask(host(), ''),
      await ask(host(), 'e2b-traffic-access-token: wrong\r\n'),
      await ask(agent, ''),
      await ask(agent, 'X-Access-Token: wrong\r\n'),
      await ask(agent, 'e2b-traffic-access-token: let-me-in\r\n'),
    ];
    for (const answer of refused) assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.match(refused[3]!, /can't be resumed with the credentials provided/);
    assert.equal(control.messages.filter(isWake).length, 0);
    using client = new RawClient(control.port);
    const woken = control.next(isWake);
    client.send(`GET / HTTP/1.1\r\nHost: ${agent}\r\nX-Access-Token: agent-token\r\n\r\n`);
    await woken;
  });

  it('is not woken by the question whether it runs', async () => {
    using client = new RawClient(control.port);
    client.send(`GET /health HTTP/1.1\r\nHost: 49983-one.${DOMAIN}\r\n\r\n`);
    await client.expect(/HTTP\/1\.1 502 .*The sandbox was not found/s);
    assert.equal(await wakesUntil(start), 0);
  });

  it('is asked for again when the control process has come back', async () => {
    using client = new RawClient(control.port);
    const woken = control.next(isWake);
    client.send(get('/a'));
    await woken;
    await control.disappear();
    const again = control.next(isWake);
    await control.listen();
    await again;
    await start();
    await client.expect(/GET \/a 0\./);
  });
});
