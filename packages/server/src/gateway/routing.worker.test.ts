// Where requests go and what is answered in a sandbox's stead, seen from outside a real worker process.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Route } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { type GetOptions, getFrom } from './testing/get.ts';
import { HttpOrigin, nextAddress } from './testing/origin.ts';
import { privateTo } from './testing/private-route.ts';
import { RawClient } from './testing/raw-client.ts';

const TOKEN = 'let-me-in';
const JSON_TYPE = 'application/json; charset=utf-8';
const HTML_TYPE = 'text/html; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const browser = { 'user-agent': 'Mozilla/5.0 Firefox/140' };

let control: FakeControl;
let one: HttpOrigin;
let two: HttpOrigin;
let agent: HttpOrigin;
let api: HttpOrigin;

const routeTo = (sandboxId: string, address: string, over: Partial<Route> = {}): Route => ({
  sandboxId,
  generation: 'g1',
  address,
  access: { kind: 'public' },
  ...over,
});

interface Seen {
  readonly server: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

function echo(server: string) {
  return HttpOrigin.start.bind(HttpOrigin, (incoming, response) => {
    response.end(JSON.stringify({ server, url: incoming.url, headers: incoming.headers }));
  });
}

before(async () => {
  one = await echo('one')();
  two = await echo('two')(nextAddress(), one.port);
  agent = await echo('agent')(nextAddress(), 49983);
  control = await FakeControl.start(
    [
      routeTo('one', one.address),
      routeTo('two', two.address),
      routeTo('agent', agent.address, {
        access: privateTo(TOKEN),
        maskRequestHost: 'localhost',
      }),
      routeTo('masked', one.address, { maskRequestHost: 'app-${PORT}.local:${PORT}' }),
      routeTo('private', one.address, {
        access: privateTo(TOKEN),
      }),
    ],
    [{ label: 'api', socketPath: 'api.sock' }],
  );
  api = await echo('api')();
  api.server.close();
  await new Promise<void>((resolve) => api.server.listen(join(control.directory, 'api.sock'), resolve));
});

after(async () => {
  await control[Symbol.asyncDispose]();
  for (const origin of [one, two, agent, api]) await origin[Symbol.asyncDispose]();
});

const get = (host: string, options?: GetOptions) => getFrom(control.port, host, options);

async function seen(host: string, options: GetOptions = {}): Promise<Seen> {
  const { status, body } = await get(host, options);
  assert.equal(status, 200, body);
  return JSON.parse(body) as Seen;
}

const hostOf = (id: string, port: number = one.port) => `${port}-${id}.${DOMAIN}`;

describe('routing', () => {
  it('sends each request of one connection where its own Host says', async () => {
    using client = new RawClient(control.port);
    for (const name of ['one', 'two', 'one', 'two', 'two']) {
      client.send(`GET /${name} HTTP/1.1\r\nHost: ${hostOf(name)}\r\n\r\n`);
      const answer = await client.expect(/\{.*\}\}/);
      assert.match(answer, new RegExp(`"server":"${name}","url":"/${name}"`));
    }
    // And when they come all at once.
    client.send(['two', 'one', 'two'].map((name) => `GET / HTTP/1.1\r\nHost: ${hostOf(name)}\r\n\r\n`).join(''));
    for (const name of ['two', 'one', 'two']) assert.match(await client.expect(/\{.*?\}\}/s), new RegExp(`"${name}"`));
  });

  it('reads host names in any case, with a port, a dot, a client ID, and of any domain', async () => {
    for (const host of [
      hostOf('one').toUpperCase(),
      `${hostOf('one')}:8443`,
      `${hostOf('one')}.`,
      `${one.port}-one-abc123.${DOMAIN}`,
      `${one.port}-one.elsewhere.example`,
    ]) {
      assert.equal((await seen(host)).server, 'one');
    }
  });

  it('tells the server who asked and how, and lets nobody lie about it', async () => {
    const lies = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'gopher', forwarded: 'for=6.6.6.6' };
    const { headers } = await seen(hostOf('one'), { headers: lies });
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-host'], hostOf('one'));
    assert.equal(headers['x-forwarded-port'], String(control.port));
    assert.equal(headers.forwarded, `for=127.0.0.1;proto=http;host="${hostOf('one')}"`);
    assert.equal(headers.host, hostOf('one'));
  });

  it('sends the API its requests', async () => {
    assert.equal((await seen(`api.${DOMAIN}`, { path: '/sandboxes?x=1' })).url, '/sandboxes?x=1');
  });

  it('answers 503 in the API’s stead while it is away', async () => {
    api.server.closeAllConnections();
    await new Promise((resolve) => api.server.close(resolve));
    const { status, headers, body } = await get(`api.${DOMAIN}`);
    assert.equal(status, 503);
    assert.equal(headers['content-type'], JSON_TYPE);
    const { code, error_code, message } = JSON.parse(body) as Record<string, unknown>;
    assert.deepEqual({ code, error_code }, { code: 503, error_code: 'api_unavailable' });
    assert.equal(typeof message, 'string');
  });

  describe('by headers', () => {
    const headers = (id: string) => ({ 'e2b-sandbox-id': id, 'e2b-sandbox-port': String(one.port) });

    it('works on the shared host, where the server sees the host name that it has', async () => {
      const { server, headers: got } = await seen(`sandbox.${DOMAIN}`, { headers: headers('two') });
      assert.equal(server, 'two');
      assert.equal(got.host, hostOf('two'));
      assert.equal(got['x-forwarded-host'], `sandbox.${DOMAIN}`);
    });

    it('works on localhost and IP addresses, where Host stays', async () => {
      for (const host of ['localhost:3000', '127.0.0.1', '[::1]:3002']) {
        const { server, headers: got } = await seen(host, { headers: headers('two') });
        assert.equal(server, 'two');
        assert.equal(got.host, host);
      }
    });

    it('is not looked at on a host that names a sandbox', async () => {
      assert.equal((await seen(hostOf('one'), { headers: headers('two') })).server, 'one');
    });

    it('needs both headers, and valid ones', async () => {
      const cases: [Record<string, string>, string][] = [
        [{ 'e2b-sandbox-id': 'one' }, 'missing header\n'],
        [{ 'e2b-sandbox-port': '80' }, 'missing header\n'],
        [{}, 'Invalid host\n'],
        [{ 'e2b-sandbox-id': 'One', 'e2b-sandbox-port': '80' }, 'Invalid sandbox ID\n'],
        [{ 'e2b-sandbox-id': 'one', 'e2b-sandbox-port': '080' }, 'Invalid sandbox port\n'],
        [{ 'e2b-sandbox-id': 'one', 'e2b-sandbox-port': '70000' }, 'Invalid sandbox port\n'],
      ];
      for (const host of [`sandbox.${DOMAIN}`, 'localhost', '127.0.0.1:80']) {
        for (const [given, body] of cases) {
          const answer = await get(host, { headers: given });
          assert.deepEqual([answer.status, answer.body], [400, body], JSON.stringify(given));
        }
      }
    });
  });

  it('refuses hosts that name nothing, as text', async () => {
    const cases: [string, string][] = [
      ['nothing', 'Invalid host\n'],
      [`nothing.${DOMAIN}`, 'Invalid host\n'],
      [DOMAIN, 'Invalid host\n'],
      ['a b.c', 'Invalid host\n'],
      [`x-one.${DOMAIN}`, 'Invalid sandbox port\n'],
      [`0-one.${DOMAIN}`, 'Invalid sandbox port\n'],
      [`80-o_ne.${DOMAIN}`, 'Invalid sandbox ID\n'],
    ];
    for (const [host, body] of cases) {
      const answer = await get(host, { headers: browser });
      assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [400, body, TEXT_TYPE], host);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    }
  });
});

describe('answers in a sandbox’s stead', () => {
  it('say 502 for a sandbox that is not there', async () => {
    const { status, headers, body } = await get(hostOf('gone'));
    assert.equal(status, 502);
    assert.equal(headers['content-type'], JSON_TYPE);
    assert.equal(body, '{"sandboxId":"gone","message":"The sandbox was not found","code":502}');
    const page = await get(hostOf('gone'), { headers: browser });
    assert.equal(page.status, 502);
    assert.equal(page.headers['content-type'], HTML_TYPE);
    assert.match(page.body, /^<html.*<title>Sandbox Not Found<\/title>.*gone.*<\/html>$/s);
  });

  it('say 502 for a port that is closed', async () => {
    const { status, headers, body } = await get(hostOf('one', 9));
    assert.equal(status, 502);
    assert.equal(headers['content-type'], JSON_TYPE);
    assert.equal(
      body,
      '{"sandboxId":"one","message":"The sandbox is running but port is not open","port":9,"code":502}',
    );
    const page = await get(hostOf('one', 9), { headers: browser });
    assert.match(page.body, /^<html.*<title>Closed Port Error<\/title>.*no service running on port 9.*one.*<\/html>$/s);
  });

  it('say 503 for the parts of a page on a closed port, never by a page; programs and pages get 502', async () => {
    const ask = async (destination: string, mode = 'no-cors') => {
      const fetchMetadata = { 'sec-fetch-dest': destination, 'sec-fetch-mode': mode };
      const { status, headers, body } = await get(hostOf('one', 9), { headers: { ...browser, ...fetchMetadata } });
      return [status, headers['content-type'], headers['retry-after'], /"code":(\d+)/.exec(body)?.[1]];
    };
    for (const destination of ['script', 'style', 'image', 'font', 'worker', 'manifest', 'video']) {
      assert.deepEqual(await ask(destination), [503, JSON_TYPE, '1', '503'], destination);
    }
    assert.deepEqual(await ask('empty', 'cors'), [502, JSON_TYPE, '1', '502']);
    for (const destination of ['document', 'iframe']) {
      assert.deepEqual(await ask(destination, 'navigate'), [502, HTML_TYPE, '1', undefined], destination);
    }
    const gone = await get(hostOf('gone'), { headers: { ...browser, 'sec-fetch-dest': 'script' } });
    assert.equal(gone.status, 502, 'what is not there does not come');
  });

  it('load nothing from elsewhere and run nothing', async () => {
    const { body } = await get(hostOf('gone'), { headers: browser });
    assert.doesNotMatch(body, /<script|src=|href=|url\(|@import/);
  });

  it('go to programs as JSON and to people as HTML', async () => {
    const type = async (headers: Record<string, string>) =>
      (await get(hostOf('gone'), { headers })).headers['content-type'];
    assert.equal(await type({}), JSON_TYPE);
    assert.equal(await type({ 'user-agent': 'curl/8' }), JSON_TYPE);
    assert.equal(await type(browser), HTML_TYPE);
    assert.equal(await type({ ...browser, accept: 'application/json' }), JSON_TYPE);
    assert.equal(await type({ ...browser, accept: 'text/html, application/json' }), HTML_TYPE);
    assert.equal(await type({ ...browser, 'x-requested-with': 'XMLHttpRequest' }), JSON_TYPE);
    assert.equal(await type({ ...browser, 'x-requested-with': 'x', 'sec-fetch-mode': 'navigate' }), HTML_TYPE);
    for (const mode of ['cors', 'no-cors', 'same-origin', 'websocket']) {
      assert.equal(await type({ ...browser, 'sec-fetch-mode': mode }), JSON_TYPE);
    }
  });

  it('keep the connection for the next request', async () => {
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${hostOf('gone')}\r\n\r\n`);
    await client.expect(/HTTP\/1\.1 502 Bad Gateway\r\n.*\}/s);
    client.send(`GET / HTTP/1.1\r\nHost: ${hostOf('one', 9)}\r\n\r\n`);
    await client.expect(/HTTP\/1\.1 502 Bad Gateway\r\n.*"port":9.*\}/s);
    client.send(`GET / HTTP/1.1\r\nHost: ${hostOf('one')}\r\n\r\n`);
    await client.expect(/HTTP\/1\.1 200 OK/);
  });

  it('have no body for HEAD', async () => {
    using client = new RawClient(control.port);
    client.send(`HEAD / HTTP/1.1\r\nHost: ${hostOf('gone')}\r\n\r\nGET / HTTP/1.1\r\nHost: ${hostOf('one')}\r\n\r\n`);
    const head = await client.expect(/\r\n\r\n/);
    assert.match(head, /502/);
    assert.match(client.received || (await client.expect(/HTTP/)), /^HTTP/);
  });
});

describe('traffic token', () => {
  const needs = "Sandbox is secured with traffic access token. Token header 'e2b-traffic-access-token' is missing";
  const wrong =
    "Sandbox is secured with traffic access token. Provided token in header 'e2b-traffic-access-token' is invalid";

  it('is asked for before the port is tried', async () => {
    for (const port of [one.port, 9]) {
      const missing = await get(hostOf('private', port));
      assert.equal(missing.status, 403);
      assert.deepEqual(JSON.parse(missing.body), { sandboxId: 'private', message: needs, code: 403 });
      const invalid = await get(hostOf('private', port), { headers: { 'e2b-traffic-access-token': 'guess' } });
      assert.equal(invalid.status, 403);
      assert.deepEqual(JSON.parse(invalid.body), { sandboxId: 'private', message: wrong, code: 403 });
    }
    const right = { 'e2b-traffic-access-token': TOKEN };
    assert.equal((await get(hostOf('private', 9), { headers: right })).status, 502);
  });

  it('opens the sandbox, and never reaches it', async () => {
    const { server, headers } = await seen(hostOf('private'), { headers: { 'E2B-Traffic-Access-Token': TOKEN } });
    assert.equal(server, 'one');
    assert.equal(headers['e2b-traffic-access-token'], undefined);
  });

  it('has pages for people', async () => {
    const missing = await get(hostOf('private'), { headers: browser });
    assert.match(missing.body, /^<html.*Missing Traffic Access Token.*private.*<\/html>$/s);
    const invalid = await get(hostOf('private'), { headers: { ...browser, 'e2b-traffic-access-token': 'x' } });
    assert.match(invalid.body, /^<html.*Invalid Traffic Access Token.*private.*<\/html>$/s);
  });

  it('is not asked for by the agent', async () => {
    assert.equal((await seen(hostOf('agent', 49983), { path: '/health' })).server, 'agent');
  });
});

describe('control routes of the agent', () => {
  const message = 'This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL';

  it('are refused in every spelling and with every method, for sandboxes that are there or not', async () => {
    const paths = [
      '/init',
      '/init/',
      '//init',
      '/files/../init',
      '/./init',
      '/%69nit',
      '/init?x=1',
      '/%2e%2e/init',
      '/files/%2e%2e/init',
      '/files%2f..%2finit',
      '/INIT',
      '/\\init',
      '/init//',
      '/freeze',
      '/unfreeze',
      '/collapse',
      '/fsfreeze',
      '/fsthaw',
      '/upgrade',
    ];
    for (const id of ['agent', 'gone']) {
      for (const path of paths) {
        using client = new RawClient(control.port);
        client.send(`POST ${path} HTTP/1.1\r\nHost: ${hostOf(id, 49983)}\r\nContent-Length: 0\r\n\r\n`);
        const answer = await client.expect(/\}/);
        assert.match(answer, /^HTTP\/1\.1 404 Not Found/, path);
        assert.ok(answer.includes(`{"message":"${message}","path":"`), answer);
        assert.ok(answer.endsWith('","code":404}'));
      }
    }
  });

  it('are ordinary paths on other ports, and neighbours of theirs are on this one', async () => {
    assert.equal((await seen(hostOf('one'), { path: '/init' })).url, '/init');
    for (const path of ['/initial', '/files/init', '/files?path=/init', '/%252569nit']) {
      assert.equal((await seen(hostOf('agent', 49983), { path })).url, path);
    }
  });
});

describe('mask of Host', () => {
  it('has every ${PORT} replaced, and the name asked for is told apart', async () => {
    const { headers } = await seen(hostOf('masked'));
    assert.equal(headers.host, `app-${one.port}.local:${one.port}`);
    assert.equal(headers['x-forwarded-host'], hostOf('masked'));
  });

  it('also holds for the shared host', async () => {
    const by = { 'e2b-sandbox-id': 'masked', 'e2b-sandbox-port': String(one.port) };
    assert.equal((await seen(`sandbox.${DOMAIN}`, { headers: by })).headers.host, `app-${one.port}.local:${one.port}`);
  });

  it('does not hold for the agent', async () => {
    assert.equal((await seen(hostOf('agent', 49983))).headers.host, hostOf('agent', 49983));
  });
});

describe('use', () => {
  it('is told of a sandbox that lets a request through, at most once a second', async () => {
    const told = (id: string) =>
      control.messages.filter((message) => message.type === 'used' && message.sandboxId === id);
    const host = `${one.port}-used.${DOMAIN}`;
    await control.apply({ type: 'set-route', route: routeTo('used', one.address) });
    await control.apply({ type: 'set-route', route: routeTo('locked', one.address, { access: privateTo(TOKEN) }) });
    assert.equal((await get(`${one.port}-locked.${DOMAIN}`)).status, 403);
    assert.equal(told('used').length, 0);
    const started = performance.now();
    for (let i = 0; i < 50; i++) assert.equal((await get(host)).status, 200);
    // Behind what was told.
    for (const sandboxId of ['used', 'locked']) await control.apply({ type: 'delete-route', sandboxId });
    const most = 2 + (performance.now() - started) / 1000;
    assert(told('used').length >= 1 && told('used').length <= most, `${told('used').length} of ${most}`);
    assert.equal(told('locked').length, 0);
  });
});
