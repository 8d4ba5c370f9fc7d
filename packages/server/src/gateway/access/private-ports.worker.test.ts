// Private ports, seen from outside a real worker: who gets in, by what, and what the app sees of it.

import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { type PassKeys, signPass } from '@sandport/protocol/access-pass';
import type { Route } from '@sandport/protocol/routes';
import WebSocket, { WebSocketServer } from 'ws';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { type Answer, getFrom } from '../testing/get.ts';
import { HttpOrigin } from '../testing/origin.ts';
import { privateTo, SESSION_KEY, URL_KEY } from '../testing/private-route.ts';

const TOKEN = 'a'.repeat(64);
const COOKIE = '__Host-sandport-access';
const keys: PassKeys = { session: SESSION_KEY, url: URL_KEY };
const page = { 'user-agent': 'Mozilla/5.0 Chrome/150', accept: 'text/html', 'sec-fetch-mode': 'navigate' };
const SIGN_IN = '/.sandport/sign-in';

let control: FakeControl;
let origin: HttpOrigin;
let sockets: WebSocketServer;

function route(sandboxId: string, over: Partial<Route> = {}): Route {
  return { sandboxId, generation: 'g1', address: origin.address, access: privateTo(TOKEN), ...over };
}

const hostOf = (id: string, port = origin.port) => `${port}-${id}.${DOMAIN}`;
const get = (id: string, options: Parameters<typeof getFrom>[2] = {}): Promise<Answer> =>
  getFrom(control.port, options.host ?? hostOf(id), options);
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const urlPass = (id: string, end = inAnHour(), port = origin.port) => signPass(keys, 'url', id, port, end);

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function seenBy(answer: Answer): Seen {
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Seen;
}

/** The cookie of an answer as a browser sends it back. */
function cookieOf(answer: Answer): string {
  const [line] = answer.headers['set-cookie'] ?? [];
  assert(line !== undefined, 'there is a cookie');
  return line.split(';')[0]!;
}

async function signIn(id = 'one'): Promise<string> {
  const headers = { 'e2b-traffic-access-token': TOKEN };
  return cookieOf(await get(id, { method: 'POST', path: SIGN_IN, headers }));
}

before(async () => {
  origin = await HttpOrigin.start((incoming, response) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk));
    incoming.on('end', () => {
      const { method, url, headers } = incoming;
      response.end(JSON.stringify({ method, url, headers, body }));
    });
  });
  sockets = new WebSocketServer({ server: origin.server });
  sockets.on('connection', (socket, incoming) => {
    socket.send(JSON.stringify({ url: incoming.url, headers: incoming.headers }));
  });
  control = await FakeControl.start([
    route('one'),
    route('two'),
    route('open', { access: { kind: 'public' } }),
    route('partly', { access: privateTo(TOKEN, { only: [origin.port] }) }),
    route('mostly', { access: privateTo(TOKEN, { except: [origin.port] }) }),
    route('asleep', { held: { wake: true } }),
  ]);
});

after(async () => {
  sockets.close();
  await control[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

describe('signing in', () => {
  it('gives a cookie for this host alone, that scripts cannot read, and that is not the token', async () => {
    const answer = await get('one', { method: 'POST', path: SIGN_IN, headers: { 'e2b-traffic-access-token': TOKEN } });
    assert.equal(answer.status, 200);
    const [line] = answer.headers['set-cookie']!;
    assert.match(
      line!,
      /^__Host-sandport-access=[^;]+; Path=\/; Max-Age=604800; Secure; HttpOnly; SameSite=None; Partitioned$/,
    );
    assert(!line!.includes(TOKEN) && !/domain/i.test(line!));
    assert.equal(answer.headers['cache-control'], 'no-store');
    const cookie = `theme=dark; ${cookieOf(answer)}; lang=en`;
    const seen = seenBy(await get('one', { path: '/x?y=1', headers: { ...page, cookie } }));
    assert.equal(seen.url, '/x?y=1');
    assert.equal(seen.headers.cookie, 'theme=dark; lang=en');
  });

  it('needs the right token, in the header', async () => {
    for (const headers of [{}, { 'e2b-traffic-access-token': 'b'.repeat(64) }, { cookie: `${COOKIE}=${TOKEN}` }]) {
      const answer = await get('one', { method: 'POST', path: SIGN_IN, headers });
      assert.equal(answer.status, 403);
      assert.equal(answer.headers['set-cookie'], undefined);
    }
  });

  it('cannot be asked for by another page, which would have to ask first and gets no leave', async () => {
    const headers = {
      origin: 'https://evil.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'e2b-traffic-access-token',
    };
    const answer = await get('one', { method: 'OPTIONS', path: SIGN_IN, headers });
    assert.equal(answer.status, 403);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  });

  it('is offered to people on a page, and refused to programs in JSON', async () => {
    const person = await get('one', { headers: page });
    assert.equal(person.status, 403);
    assert.match(person.headers['content-type']!, /^text\/html/);
    assert.match(person.body, /^<html.*Missing Traffic Access Token.*type="password".*one.*<\/html>$/s);
    assert.match(String(person.headers['content-security-policy']), /default-src 'none'; style-src 'sha256-/);
    const program = await get('one');
    assert.equal(program.status, 403);
    assert.deepEqual(JSON.parse(program.body), {
      sandboxId: 'one',
      message: "Sandbox is secured with traffic access token. Token header 'e2b-traffic-access-token' is missing",
      code: 403,
    });
  });

  it('counts on its own sandbox and port only', async () => {
    const cookie = await signIn();
    assert.equal((await get('two', { headers: { cookie } })).status, 403);
    assert.equal((await get('one', { host: hostOf('one', 4999), headers: { cookie } })).status, 403);
    assert.equal((await get('one', { headers: { cookie: `${cookie}x` } })).status, 403);
    // One that a sibling planted stands before the person's own.
    assert.equal((await get('one', { headers: { cookie: `${COOKIE}=s.1.${'A'.repeat(43)}; ${cookie}` } })).status, 200);
  });

  it('does not count where the host is shared by all sandboxes', async () => {
    const headers = { 'e2b-sandbox-id': 'one', 'e2b-sandbox-port': String(origin.port) };
    for (const host of [`sandbox.${DOMAIN}`, 'localhost']) {
      const withCookie = { ...headers, cookie: await signIn() };
      assert.equal((await get('one', { host, headers: withCookie })).status, 403);
      const asPerson = await get('one', { host, headers: { ...headers, ...page } });
      assert.equal(asPerson.status, 403);
      assert.doesNotMatch(asPerson.body, /<form/);
      assert.equal((await get('one', { host, path: `/?sandport_access=${urlPass('one')}`, headers })).status, 403);
      const withToken = { ...headers, 'e2b-traffic-access-token': TOKEN };
      seenBy(await get('one', { host, headers: withToken }));
    }
  });
});

describe('a cookie and other pages', () => {
  const foreign = [
    { origin: `https://8000-two.${DOMAIN}`, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    { origin: 'null', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
    { origin: 'https://8000-one.evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
    { origin: `https://8000-one.${DOMAIN}.evil.example`, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
    { referer: `https://8000-two.${DOMAIN}/`, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
    { origin: `https://8000-two.${DOMAIN}` },
  ] as const;
  it('is of no use to a page of another sandbox or site, whatever the browser sends along', async () => {
    const cookie = await signIn();
    for (const headers of foreign) {
      assert.equal((await get('one', { headers: { ...headers, cookie } })).status, 403, JSON.stringify(headers));
    }
    const posted = { ...page, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', cookie };
    assert.equal((await get('one', { method: 'POST', headers: posted })).status, 403);
  });

  it('is of use to pages on every port of the same sandbox, and to whoever follows a link', async () => {
    const cookie = await signIn();
    for (const headers of [
      { origin: `https://8000-one.${DOMAIN}`, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' },
      { referer: `https://8000-one.${DOMAIN}/x`, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
      { origin: `https://${hostOf('one')}`, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
      { ...page, referer: 'https://mail.example/', 'sec-fetch-site': 'cross-site' },
      {},
    ]) {
      seenBy(await get('one', { headers: { ...headers, cookie } }));
    }
  });

  it('opens a WebSocket from a page of the same sandbox, not from another', async () => {
    const cookie = await signIn();
    const url = `ws://127.0.0.1:${control.port}/chat?sandport_access=${urlPass('one')}&room=1`;
    const open = (path: string, headers: Record<string, string>) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(path, { headers: { host: hostOf('one'), ...headers } });
        socket.on('unexpected-response', (_request, response) => resolve(String(response.statusCode)));
        socket.on('error', (error) => resolve(error.message));
        socket.on('message', (data) => {
          resolve(String(data));
          socket.terminate();
        });
      });
    const plain = `ws://127.0.0.1:${control.port}/chat`;
    const seen = JSON.parse(await open(plain, { cookie, origin: `https://8000-one.${DOMAIN}` })) as Seen;
    assert.equal(seen.url, '/chat');
    assert.equal(seen.headers.cookie, undefined);
    assert.equal(await open(plain, { cookie, origin: `https://8000-two.${DOMAIN}` }), '403');
    assert.equal(await open(plain, {}), '403');
    assert.equal((JSON.parse(await open(url, {})) as Seen).url, '/chat?room=1');
  });
});

describe('URLs that bring their access', () => {
  it('become the cookie and lose the parameter when a person opens them', async () => {
    for (const [value, most] of [
      [TOKEN, 604_800],
      [urlPass('one'), 3600],
    ] as const) {
      const path = `/a%20b?x=1&sandport_access=${value}&y=;`;
      const answer = await get('one', { path, headers: page });
      assert.equal(answer.status, 303);
      assert.equal(answer.headers.location, '/a%20b?x=1&y=;');
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(answer.headers['referrer-policy'], 'no-referrer');
      const age = Number(/Max-Age=(\d+)/.exec(answer.headers['set-cookie']![0]!)![1]);
      assert(age > most - 60 && age <= most, String(age));
      assert(!answer.headers['set-cookie']![0]!.includes(value));
      seenBy(await get('one', { headers: { ...page, cookie: cookieOf(answer) } }));
    }
  });

  it('serve a program at once, never by a redirect, and the app does not see the parameter', async () => {
    for (const value of [TOKEN, urlPass('one')]) {
      for (const method of ['GET', 'POST']) {
        const path = `/api?sandport_access=${value}&x=1&sandport_access=${value}`;
        const seen = seenBy(await get('one', { method, path, body: method === 'POST' ? 'hello' : '' }));
        assert.deepEqual([seen.method, seen.url, seen.body], [method, '/api?x=1', method === 'POST' ? 'hello' : '']);
      }
    }
    assert.equal(seenBy(await get('one', { path: `/?sandport_access=${TOKEN}` })).url, '/');
  });

  it('redirect to the same host only', async () => {
    for (const [path, location] of [
      ['//evil.example/', '/.//evil.example/'],
      ['/\\evil.example/', '/./\\evil.example/'],
      ['//', '/.//'],
      ['/', '/'],
    ] as const) {
      const answer = await get('one', { path: `${path}?sandport_access=${TOKEN}`, headers: page });
      assert.equal(answer.headers.location, location);
      const url = new URL(location, `https://${hostOf('one')}/`);
      assert.equal(url.host, hostOf('one'));
    }
  });

  it('end at their time, count for one port of one sandbox, and are no cookies', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const pass of [
      urlPass('one', now - 1),
      urlPass('two'),
      urlPass('one', inAnHour(), 4000),
      signPass(keys, 'session', 'one', origin.port, inAnHour()),
      'nonsense',
      '',
    ]) {
      const path = `/?sandport_access=${pass}`;
      const program = await get('one', { path });
      assert.equal(program.status, 403, pass);
      assert.match((JSON.parse(program.body) as { message: string }).message, /invalid, has expired or was revoked$/);
      const person = await get('one', { path, headers: page });
      assert.equal(person.status, 403);
      assert.match(person.body, /no longer valid/);
      assert.equal(person.headers['set-cookie'], undefined);
    }
    assert.equal((await get('one', { headers: { cookie: `${COOKIE}=${urlPass('one')}` } })).status, 403);
  });

  it('take nothing from a browser that is signed in for longer', async () => {
    const cookie = await signIn();
    const shorter = await get('one', { path: `/?sandport_access=${urlPass('one')}`, headers: { ...page, cookie } });
    assert.deepEqual([shorter.status, shorter.headers['set-cookie']], [303, undefined]);
    const dead = await get('one', { path: '/x?sandport_access=dead', headers: { ...page, cookie } });
    assert.deepEqual([dead.status, dead.headers.location], [303, '/x']);
  });

  it('end with their cookies when they are revoked; the token and its cookies go on', async () => {
    const pass = urlPass('one');
    const opened = await get('one', { path: `/?sandport_access=${pass}`, headers: page });
    const cookie = cookieOf(opened);
    const session = await signIn();
    seenBy(await get('one', { headers: { cookie } }));
    const access = privateTo(TOKEN, undefined, Buffer.alloc(32, 9));
    await control.apply({ type: 'set-route', route: route('one', { access }) });
    assert.equal((await get('one', { path: `/?sandport_access=${pass}` })).status, 403);
    assert.equal((await get('one', { headers: { cookie } })).status, 403);
    seenBy(await get('one', { headers: { cookie: session } }));
    seenBy(await get('one', { headers: { 'e2b-traffic-access-token': TOKEN } }));
    await control.apply({ type: 'set-route', route: route('one') });
  });
});

describe('what else passes', () => {
  const preflight = { origin: 'https://app.example', 'access-control-request-method': 'PUT' };

  it('preflight requests do, for browsers send them without credentials; other OPTIONS do not', async () => {
    assert.equal(seenBy(await get('one', { method: 'OPTIONS', headers: preflight })).method, 'OPTIONS');
    assert.equal((await get('one', { method: 'OPTIONS' })).status, 403);
    assert.equal((await get('one', { method: 'GET', headers: preflight })).status, 403);
  });

  it('nothing without access wakes a sandbox', async () => {
    for (const options of [{}, { method: 'OPTIONS', headers: preflight }, { path: '/?sandport_access=x' }]) {
      assert.equal((await get('asleep', options)).status, 403);
    }
  });

  it('ports can differ: private ones of a public sandbox, public ones of a private one', async () => {
    assert.equal((await get('partly')).status, 403);
    assert.equal((await get('partly', { host: hostOf('partly', 4999) })).status, 502);
    seenBy(await get('mostly'));
    assert.equal((await get('mostly', { host: hostOf('mostly', 4999) })).status, 403);
  });

  it('a public port is sent all that comes', async () => {
    const seen = seenBy(await get('open', { path: '/?sandport_access=1', headers: { cookie: `${COOKIE}=1; a=b` } }));
    assert.deepEqual([seen.url, seen.headers.cookie], ['/?sandport_access=1', `${COOKIE}=1; a=b`]);
  });
});

it('HTTP/2 is served alike', async () => {
  const session = connect(`http://127.0.0.1:${control.port}`);
  const ask = (fields: Record<string, string | string[]>): Promise<{ head: Record<string, unknown>; body: string }> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':authority': hostOf('one'), ...fields });
      let head: Record<string, unknown> = {};
      let body = '';
      stream.on('response', (headers) => (head = headers));
      stream.on('data', (chunk: Buffer) => (body += chunk));
      stream.on('end', () => resolve({ head, body }));
      stream.on('error', reject);
    });
  try {
    const refused = await ask({});
    assert.equal(refused.head[':status'], 403);
    const opened = await ask({ ':path': `/x?sandport_access=${urlPass('one')}`, ...page });
    assert.deepEqual([opened.head[':status'], opened.head.location], [303, '/x']);
    const cookie = String((opened.head['set-cookie'] as string[])[0]).split(';')[0]!;
    const seen = JSON.parse((await ask({ ':path': '/y?z', cookie: ['a=b', cookie] })).body) as Seen;
    assert.deepEqual([seen.url, seen.headers.cookie], ['/y?z', 'a=b']);
    const other = JSON.parse((await ask({ ':path': `/?sandport_access=${TOKEN}`, cookie })).body) as Seen;
    assert.deepEqual([other.url, other.headers.cookie], ['/', undefined]);
  } finally {
    session.close();
  }
});
