// Vite's development server, as it comes, at its public URL in a real browser: what is edited in the sandbox is seen in the
// page at once, without loading it again.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ACCESS_PARAMETER } from '@sandport/protocol/access-pass';
import { Sandbox } from 'e2b';
import { Browser } from '../support/browser.ts';
import { runtimes } from '../support/machine.ts';
import { enterOwnNetwork, makeNeighbourNetwork, type NeighbourNetwork } from '../support/own-network.ts';
import { packageClosure } from '../support/package-closure.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const PAGE = `<!doctype html><title>app</title><link rel="stylesheet" href="/style.css">
<h1 id="message"></h1><input id="typed"><script type="module" src="/main.js"></script>`;
const MAIN = `import { message } from './message.js';
const show = (text) => { document.querySelector('#message').textContent = text; };
show(message);
import.meta.hot.accept('./message.js', (changed) => show(changed.message));`;

/** Notes in the page that Vite's socket is there: what is edited before is not told. */
const NOTE_SOCKET = `window.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    this.addEventListener('message', ({ data }) => { if (String(data).includes('connected')) window.isConnected = true; });
  }
}`;

let stack: AsyncDisposableStack;
let network: NeighbourNetwork;
let browser: Browser;
let modules: Buffer;

before(async () => {
  stack = new AsyncDisposableStack();
  enterOwnNetwork();
  modules = packageClosure('vite');
  network = stack.use(await makeNeighbourNetwork());
  browser = stack.use(await Browser.start(network));
});
after(() => stack.disposeAsync());

for (const runtime of runtimes) {
  describe(`vite under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      server = await SandportServer.start(runtime, ['--warm', '0'], {
        addresses: ['127.0.0.1', network.address],
      });
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    /** Starts Vite and opens its page with something typed into it, which is lost when it is loaded again. */
    async function edit(sandbox: Sandbox, open: (url: string) => string): Promise<void> {
      const write = (name: string, text: string) => sandbox.files.write(`/home/user/app/${name}`, text);
      await sandbox.files.write('/home/user/app/modules.tar.gz', new Blob([new Uint8Array(modules)]));
      await write('index.html', PAGE);
      await write('main.js', MAIN);
      await write('message.js', `export const message = 'first message';`);
      await write('style.css', 'h1 { color: rgb(1, 2, 3) }');
      await sandbox.commands.run('tar -xzf modules.tar.gz', { cwd: '/home/user/app' });
      let printed = '';
      const print = (text: string): void => {
        printed += text;
      };
      await sandbox.commands.run('node node_modules/vite/bin/vite.js --host', {
        cwd: '/home/user/app',
        background: true,
        timeoutMs: 0,
        onStdout: print,
        onStderr: print,
      });
      await waitFor('Vite is ready', () => printed.includes('ready in') || undefined, 60_000);
      const tab = await browser.open();
      await tab.call('Page.enable');
      await tab.call('Page.addScriptToEvaluateOnNewDocument', { source: NOTE_SOCKET });
      await tab.goTo(open(`https://${sandbox.getHost(5173)}/`));
      await tab.shows(/first message/);
      await waitFor('the page hears of changes', () => tab.evaluate<boolean>('window.isConnected'));
      await tab.evaluate(`document.querySelector('#typed').value = 'typed by a person'; window.loadedOnce = true`);

      await write('message.js', `export const message = 'second message';`);
      await tab.shows(/second message/);
      await write('style.css', 'h1 { color: rgb(4, 5, 6) }');
      const color = 'getComputedStyle(document.querySelector("h1")).color';
      await waitFor('the style changes', async () => (await tab.evaluate(color)) === 'rgb(4, 5, 6)');
      const state = '[document.querySelector("#typed").value, window.loadedOnce === true]';
      assert.deepEqual(await tab.evaluate(state), ['typed by a person', true], 'the page was not loaded again');

      // What is not accepted has the page loaded anew, which is Vite's way.
      await write('index.html', PAGE.replace('<title>app', '<title>another'));
      await waitFor('the page is loaded again', async () => (await tab.evaluate('document.title')) === 'another');
    }

    test('hot reload through the public URL', async () => {
      await using stack = new AsyncDisposableStack();
      const sandbox = await Sandbox.create(server.options);
      stack.defer(async () => void (await sandbox.kill()));
      await edit(sandbox, (url) => url);
    });

    test('and through a private one, under a masked host name', async () => {
      await using stack = new AsyncDisposableStack();
      const network = { allowPublicTraffic: false, maskRequestHost: 'localhost:${PORT}' };
      const sandbox = await Sandbox.create({ ...server.options, network });
      stack.defer(async () => void (await sandbox.kill()));
      await edit(sandbox, (url) => `${url}?${ACCESS_PARAMETER}=${sandbox.trafficAccessToken}`);
    });
  });
}
