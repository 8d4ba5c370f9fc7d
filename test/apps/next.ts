// Next.js as it comes, developed and built in a sandbox, at its public URL in a real browser. Not part of `npm test`: it
// installs Next from the registry. Run by `npm run test:apps`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openAsBlob } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ACCESS_PARAMETER } from '@sandport/protocol/access-pass';
import { Sandbox } from 'sandport';
import { Browser } from '../support/browser.ts';
import { runtimes } from '../support/machine.ts';
import { enterOwnNetwork, makeNeighbourNetwork, type NeighbourNetwork } from '../support/own-network.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { serve } from './serve.ts';

const PACKAGES = ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'];
const APP = '/home/user/app';
const READY_MS = 240_000;
const READY = { ready: /Ready in/, cwd: APP, longestMs: READY_MS };

const LAYOUT = 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;';
const page = (greeting: string): string => `'use client';
import { useState } from 'react';
export default function Page() {
  const [count, setCount] = useState(0);
  return <main><h1>${greeting}</h1><button onClick={() => setCount(count + 1)}>pressed {count} times</button></main>;
}`;
/** Next takes requests of other origins than localhost for somebody else's page, unless they are named. */
const CONFIG = "export default { allowedDevOrigins: [`*.${process.env.SANDPORT_DOMAIN.replace(/:[0-9]+$/, '')}`] };";

let stack: AsyncDisposableStack;
let network: NeighbourNetwork;
let browser: Browser;
let modules: string;

before(async () => {
  stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-next-'))).path;
  await writeFile(join(directory, 'package.json'), '{}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...PACKAGES], { cwd: directory, stdio: 'ignore' });
  modules = join(directory, 'modules.tar');
  execFileSync('tar', ['-C', directory, '--exclude=*swc-linux-*-musl', '-cf', modules, 'node_modules', 'package.json']);
  enterOwnNetwork();
  network = stack.use(await makeNeighbourNetwork());
  browser = stack.use(await Browser.start(network));
});
after(() => stack.disposeAsync());

for (const runtime of runtimes) {
  describe(`next under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      const addresses = ['127.0.0.1', network.address];
      server = await SandportServer.start(runtime, ['--warm', '0', '--memory', '4096'], { addresses });
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    async function install(sandbox: Sandbox, files: Readonly<Record<string, string>>): Promise<void> {
      await sandbox.files.write(`${APP}/modules.tar`, await openAsBlob(modules));
      await sandbox.commands.run('tar -xf modules.tar && rm modules.tar', { cwd: APP, timeoutMs: 120_000 });
      const all = { 'app/layout.js': LAYOUT, 'app/page.js': page('first greeting'), ...files };
      for (const [name, text] of Object.entries(all)) await sandbox.files.write(`${APP}/${name}`, text);
    }

    async function develop(sandbox: Sandbox, open: (url: string) => string): Promise<void> {
      await serve(sandbox, 'npx next dev', READY);
      const tab = await browser.open();
      await tab.goTo(open(sandbox.getUrl(3000)));
      const text = async (pattern: RegExp): Promise<void> => {
        const shown = () => tab.evaluate<string>('document.body?.innerText ?? ""');
        await waitFor(`${pattern} is shown`, async () => pattern.test(String(await shown())), READY_MS);
      };
      await text(/first greeting/);
      // A page that is only drawn does not count; one that lives does.
      const press = "document.querySelector('button')?.click(); document.querySelector('button')?.innerText ?? ''";
      await waitFor(
        'the page lives',
        async () => !/pressed 0 times|^$/.test(String(await tab.evaluate(press))),
        READY_MS,
      );
      const pressed = await tab.evaluate<string>("document.querySelector('button').innerText");
      await sandbox.files.write(`${APP}/app/page.js`, page('second greeting'));
      await text(/second greeting/);
      const afterwards = await tab.evaluate<string>("document.querySelector('button').innerText");
      assert.equal(afterwards, pressed, 'the page was not loaded again');
    }

    test('develops through the public URL, with fast refresh', async () => {
      await using sandbox = await Sandbox.create({ ...server.options, timeoutMs: 1_800_000 });
      await install(sandbox, { 'next.config.mjs': CONFIG });
      await develop(sandbox, (url) => url);
    });

    test('and through a private one, with no configuration, under a masked host name and origin', async () => {
      const masks = { maskRequestHost: 'localhost:${PORT}', maskRequestOrigin: true };
      const options = { ...server.options, timeoutMs: 1_800_000, network: { allowPublicTraffic: false, ...masks } };
      await using sandbox = await Sandbox.create(options);
      await install(sandbox, {});
      await develop(sandbox, (url) => `${url}?${ACCESS_PARAMETER}=${sandbox.trafficAccessToken}`);
    });

    test('is built and served', async () => {
      await using sandbox = await Sandbox.create({ ...server.options, timeoutMs: 1_800_000 });
      await install(sandbox, {});
      await sandbox.commands.run('npx next build', { cwd: APP, timeoutMs: 600_000 });
      await serve(sandbox, 'npx next start', READY);
      const tab = await browser.open();
      await tab.goTo(sandbox.getUrl(3000));
      await tab.shows(/first greeting/);
      const press = "document.querySelector('button').click(); document.querySelector('button').innerText";
      await waitFor('the page lives', async () => !/pressed 0 times/.test(String(await tab.evaluate(press))));
    });
  });
}
