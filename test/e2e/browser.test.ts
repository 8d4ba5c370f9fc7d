// What a person sees of public URLs, in a real browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signPass } from '@sandport/protocol/access-pass';
import { WebSocketServer } from 'ws';
import { DOMAIN, FakeControl } from '../../packages/server/src/gateway/testing/fake-control.ts';
import { HttpOrigin, nextAddress } from '../../packages/server/src/gateway/testing/origin.ts';
import { privateTo, SESSION_KEY, URL_KEY } from '../../packages/server/src/gateway/testing/private-route.ts';
import { Browser, type Tab } from '../support/browser.ts';
import { enterOwnNetwork } from '../support/own-network.ts';

const TOKEN = 'c'.repeat(64);
const COOKIE = '__Host-sandport-access';

let control: FakeControl;
let browser: Browser;
let app: HttpOrigin;
let data: HttpOrigin;
let late: { readonly address: string; readonly port: number };
let sockets: WebSocketServer;
/** Cookie headers that the app has been sent, by host. */
const sent: { readonly host: string; readonly cookie: string | undefined }[] = [];

before(async () => {
  enterOwnNetwork();
  app = await HttpOrigin.start((request, response) => {
    sent.push({ host: request.headers['x-forwarded-host'] as string, cookie: request.headers.cookie });
    if (request.url === '/set') response.setHeader('Set-Cookie', [`wide=1; Domain=${DOMAIN}; Path=/`, 'own=1; Path=/']);
    response.setHeader('Content-Type', 'text/html');
    response.end(`<title>app</title><h1>hello from the app at ${request.url}</h1>`);
  });
  const address = app.address;
  data = await HttpOrigin.start((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
    response.setHeader('Access-Control-Allow-Credentials', 'true');
    response.setHeader('Access-Control-Allow-Headers', 'x-mine');
    response.setHeader('Access-Control-Allow-Methods', 'PUT');
    response.end(`data for ${request.method} with ${request.headers['x-mine']}`);
  }, address);
  sockets = new WebSocketServer({ server: data.server });
  sockets.on('connection', (socket) => socket.send('hello from the socket'));
  late = { address: nextAddress(), port: app.port };
  const open = { kind: 'public' } as const;
  control = await FakeControl.start([
    { sandboxId: 'mine', generation: 'g1', address, access: privateTo(TOKEN) },
    { sandboxId: 'other', generation: 'g1', address, access: open },
    { sandboxId: 'late', generation: 'g1', address: late.address, access: open },
    { sandboxId: 'asleep', generation: 'g1', address: '0.0.0.0', access: open, held: { wake: true } },
  ]);
  browser = await Browser.start();
});

after(async () => {
  await browser?.[Symbol.asyncDispose]();
  sockets?.close();
  await control?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
  await data?.[Symbol.asyncDispose]();
});

const url = (id: string, port = app.port, path = '/', domain = DOMAIN, scheme = 'https') =>
  `${scheme}://${port}-${id}.${domain}:${control.port}${path}`;

function signed(port: number, path = '/'): string {
  const end = Math.floor(Date.now() / 1000) + 600;
  const pass = signPass({ session: SESSION_KEY, url: URL_KEY }, 'url', 'mine', port, end);
  return url('mine', port, `${path}?sandport_access=${pass}`);
}

async function enterToken(tab: Tab, token: string): Promise<void> {
  await tab.evaluate('document.querySelector("input").focus()');
  await tab.type(token);
  await tab.press('Enter');
}

describe('in a browser', () => {
  test('the sign-in page lets a person in once, by a cookie that no script reads and no sibling gets', async () => {
    const tab = await browser.open();
    await tab.goTo(url('mine', app.port, '/deep?a=b#part'));
    await tab.shows(/This app is private/);
    await enterToken(tab, 'wrong');
    await tab.shows(/not the token of this sandbox/);
    await enterToken(tab, TOKEN);
    await tab.shows(/hello from the app at \/deep\?a=b$/);
    assert.equal(await tab.evaluate('location.hash'), '#part');
    assert.equal(await tab.evaluate('document.cookie'), '');
    const [cookie, ...others] = await tab.cookies();
    assert.deepEqual(others, []);
    assert.deepEqual(
      [cookie!.name, cookie!.domain, cookie!.httpOnly, cookie!.secure, cookie!.sameSite],
      [COOKIE, `${app.port}-mine.${DOMAIN}`, true, true, 'None'],
    );
    assert.notEqual(cookie!.partitionKey, undefined);
    sent.length = 0;
    await tab.goTo(url('other'));
    await tab.shows(/hello from the app/);
    await tab.goTo(url('mine', app.port, '/again'));
    await tab.shows(/hello from the app at \/again/);
    assert(sent.length >= 2 && sent.every((one) => one.cookie === undefined), JSON.stringify(sent));
  });

  test('on a loopback domain the sign-in works without TLS', async () => {
    const tab = await browser.open();
    await tab.goTo(url('mine', app.port, '/plain', 'sandport.localhost', 'http'));
    await tab.shows(/This app is private/);
    await enterToken(tab, TOKEN);
    await tab.shows(/hello from the app at \/plain/);
  });

  test('a signed URL opens the app and leaves no trace in the address bar or the history', async () => {
    const tab = await browser.open();
    await tab.goTo(signed(app.port, '/shown'));
    await tab.shows(/hello from the app at \/shown$/);
    assert.equal(await tab.evaluate('location.search'), '');
    const { entries } = await tab.call<{ entries: { url: string }[] }>('Page.getNavigationHistory');
    assert(entries.every((entry) => !entry.url.includes('sandport_access')));
    await tab.goTo(url('mine', app.port, '/?sandport_access=dead'));
    await tab.shows(/hello from the app at \/$/);
  });

  test('a page uses other private ports of its sandbox by fetch and WebSocket, and a page of another sandbox cannot', async () => {
    const tab = await browser.open();
    await tab.goTo(signed(data.port));
    await tab.shows(/data for GET/);
    const there = JSON.stringify(url('mine', data.port));
    const fetched = `fetch(${there}, { method: 'PUT', credentials: 'include', headers: { 'x-mine': '1' } })
      .then((answer) => answer.text(), (error) => String(error))`;
    const heard = `new Promise((resolve) => {
      const socket = new WebSocket(${there}.replace('https:', 'wss:'));
      socket.onmessage = (event) => { socket.close(); resolve(event.data) };
      socket.onerror = () => resolve('refused');
    })`;
    await tab.goTo(signed(app.port));
    await tab.shows(/hello from the app/);
    assert.equal(await tab.evaluate(fetched), 'data for PUT with 1');
    assert.equal(await tab.evaluate(heard), 'hello from the socket');
    await tab.goTo(url('other'));
    await tab.shows(/hello from the app/);
    assert.match((await tab.evaluate<string>(fetched))!, /Failed to fetch/);
    assert.equal(await tab.evaluate(heard), 'refused');
  });

  test('cookies that a server sets for the whole domain stay with its own host', async () => {
    const tab = await browser.open();
    await tab.goTo(url('other', app.port, '/set'));
    await tab.shows(/hello from the app at \/set/);
    const cookies = await tab.cookies();
    assert.deepEqual(cookies.map(({ name, domain }) => [name, domain]).sort(), [
      ['own', `${app.port}-other.${DOMAIN}`],
      ['wide', `${app.port}-other.${DOMAIN}`],
    ]);
  });

  test('the page of a closed port becomes the app, and its assets get no page', async () => {
    const tab = await browser.open();
    await tab.goTo(url('late', app.port, '/late'));
    await tab.shows(/no service running on port/);
    const types = await tab.evaluate<string>(`fetch('/style.css').then((answer) => answer.status + ' ' +
      answer.headers.get('content-type') + ' ' + answer.headers.get('retry-after'))`);
    assert.equal(types, '502 application/json; charset=utf-8 1');
    const started = await HttpOrigin.start(
      (request, response) => response.setHeader('Content-Type', 'text/html').end(`there at ${request.url}`),
      late.address,
      late.port,
    );
    try {
      await tab.shows(/^there at \/late$/);
    } finally {
      await started[Symbol.asyncDispose]();
    }
  });

  test('the page of a sandbox that wakes becomes the app', async () => {
    const tab = await browser.open();
    const asked = control.next((message) => message.type === 'wake');
    await tab.goTo(url('asleep', app.port, '/woken'));
    await asked;
    await tab.shows(/The sandbox is waking up/);
    const route = { sandboxId: 'asleep', generation: 'g2', address: app.address, access: { kind: 'public' } } as const;
    await control.apply({ type: 'set-route', route });
    await tab.shows(/hello from the app at \/woken/);
  });

  test('the style of every page is allowed by its own policy', async () => {
    const tab = await browser.open();
    for (const id of ['mine', 'late', 'gone']) {
      await tab.goTo(url(id, 4999));
      await tab.shows(/Sandbox/);
      const style = await tab.evaluate<string>('getComputedStyle(document.querySelector("main")).borderRadius');
      assert.equal(style, '16px');
      assert.equal(await tab.evaluate('document.documentElement.lang'), 'en');
    }
  });
});
