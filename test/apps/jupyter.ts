// Debian's Jupyter Notebook in a sandbox, at its public URL in a real browser: a cell is run by a kernel that the page speaks to
// over a WebSocket. Not part of `npm test`: it takes packages from Debian. Run by `npm run test:apps`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, openAsBlob } from 'node:fs';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ACCESS_PARAMETER } from '@sandport/protocol/access-pass';
import { Sandbox, type SandboxOptions } from 'sandport';
import { Browser } from '../support/browser.ts';
import { runtimes } from '../support/machine.ts';
import { enterOwnNetwork, makeNeighbourNetwork, type NeighbourNetwork } from '../support/own-network.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { serve } from './serve.ts';

const PACKAGE = 'jupyter-notebook=6.4.12-2.2';
const HOME = process.env.SANDPORT_HOME ?? '/var/lib/sandport';
const READY_MS = 120_000;
const NOTEBOOK = {
  nbformat: 4,
  nbformat_minor: 5,
  metadata: { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } },
  cells: [
    { id: 'a', cell_type: 'code', metadata: {}, execution_count: null, outputs: [], source: 'print("sum is", 40 + 2)' },
  ],
};

let stack: AsyncDisposableStack;
let network: NeighbourNetwork;
let browser: Browser;
let files: string;

before(async () => {
  stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-jupyter-'))).path;
  files = join(directory, 'files.tar');
  await mkdir(join(directory, 'archives', 'partial'), { recursive: true });
  await mkdir(join(directory, 'root'));
  // What it needs beside what sandboxes have already.
  const status = globSync(`${HOME}/images/*/rootfs/var/lib/dpkg/status`).at(-1);
  assert(status, `no image in ${HOME}: run "npm run setup"`);
  const places = [`Dir::State::status=${status}`, `Dir::Cache::archives=${directory}/archives`, 'Debug::NoLocking=1'];
  const options = ['-y', '--no-install-recommends', '--download-only', ...places.flatMap((place) => ['-o', place])];
  execFileSync('apt-get', ['install', ...options, PACKAGE], { stdio: 'ignore' });
  for (const archive of globSync(`${directory}/archives/*.deb`)) {
    execFileSync('dpkg', ['-x', archive, join(directory, 'root')]);
  }
  execFileSync('tar', ['-C', join(directory, 'root'), '-cf', files, '.']);
  enterOwnNetwork();
  network = stack.use(await makeNeighbourNetwork());
  browser = stack.use(await Browser.start(network));
});
after(() => stack.disposeAsync());

for (const runtime of runtimes) {
  describe(`jupyter under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      const addresses = ['127.0.0.1', network.address];
      server = await SandportServer.start(runtime, ['--warm', '0', '--memory', '2048'], { addresses });
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    async function runCell(options: SandboxOptions, flags: string, open: (sandbox: Sandbox, url: string) => string) {
      await using sandbox = await Sandbox.create({ ...server.options, timeoutMs: 1_200_000, ...options });
      await sandbox.files.write('/tmp/files.tar', await openAsBlob(files));
      const unpack = 'tar -C / --keep-directory-symlink -xf /tmp/files.tar && rm /tmp/files.tar';
      await sandbox.commands.run(unpack, { user: 'root', timeoutMs: READY_MS });
      await sandbox.files.write('/home/user/sum.ipynb', JSON.stringify(NOTEBOOK));
      const command = `jupyter-notebook --no-browser --port 8888 --NotebookApp.token= ${flags}`;
      await serve(sandbox, command, { ready: /is running at/, longestMs: READY_MS });
      const tab = await browser.open();
      await tab.goTo(open(sandbox, `${sandbox.getUrl(8888)}/notebooks/sum.ipynb`));
      const isIdle = 'window.Jupyter?.notebook?.kernel?.is_connected() === true';
      await waitFor('the page has its kernel', () => tab.evaluate<boolean>(isIdle), READY_MS);
      await tab.evaluate('void Jupyter.notebook.execute_all_cells()');
      const output = `document.querySelector('.output_text, .output_stdout')?.innerText ?? ''`;
      const isShown = async () => /sum is 42/.test(String(await tab.evaluate(output)));
      await waitFor('the output is shown', isShown, READY_MS);
    }

    test('runs a cell through the public URL', async () => {
      await runCell({}, '--ip 0.0.0.0 --NotebookApp.allow_remote_access=True', (_sandbox, url) => url);
    });

    test('and through a private one, on the loopback address, under a masked host name and origin', async () => {
      const masks = { maskRequestHost: 'localhost:${PORT}', maskRequestOrigin: true };
      const token = ({ trafficAccessToken }: Sandbox, url: string) =>
        `${url}?${ACCESS_PARAMETER}=${trafficAccessToken}`;
      await runCell({ network: { allowPublicTraffic: false, ...masks } }, '', token);
    });
  });
}
