// The agent needs nothing of the image: sandboxes of images that have no C library, or another one, and no shell.
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CommandExitError, Sandbox } from 'e2b';
import { AgentClient, type Finished } from '../../packages/agent/src/testing/agent-client.ts';
import { agentAccess } from '../support/agent-access.ts';
import { BareImage } from '../support/bare-image.ts';
import { runtimes } from '../support/machine.ts';
import { muslProgram } from '../support/musl-program.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const MUSL = '/lib/ld-musl-x86_64.so.1';

interface Image {
  readonly name: string;
  fill(root: string): Promise<void>;
  /** What is tried besides, in a sandbox of the image. */
  tryOut?(run: (cmd: string, ...args: string[]) => Promise<Finished>): Promise<void>;
}

/** One static program, and not even a directory more. */
async function fillWithBusybox(root: string): Promise<void> {
  await mkdir(join(root, 'bin'));
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
}

const images: Image[] = [
  { name: 'one static program and nothing else', fill: fillWithBusybox },
  {
    name: 'musl as its C library',
    async fill(root) {
      await fillWithBusybox(root);
      await mkdir(join(root, 'lib'));
      await copyFile(MUSL, join(root, MUSL));
      await writeFile(join(root, 'bin/hello'), muslProgram('hello of musl'));
      await chmod(join(root, 'bin/hello'), 0o755);
    },
    async tryOut(run) {
      const { stdout, end } = await run('/bin/hello');
      assert.deepEqual([stdout, end?.status], ['hello of musl\n', 'exit status 0']);
    },
  },
];

for (const runtime of runtimes) {
  for (const { name, fill, tryOut } of images) {
    // The program that is made for musl is one of x86-64.
    const skip = tryOut !== undefined && process.arch !== 'x64';
    describe(`an image with ${name} under ${runtime}`, { skip }, () => {
      test('runs commands, keeps files and answers on its URL', async () => {
        await using image = await BareImage.make(fill);
        await using server = await SandportServer.start(runtime, [], { home: image.home });
        const sandbox = await Sandbox.create(server.options);
        const { url, token } = await agentAccess(server, sandbox.sandboxId);
        const agent = new AgentClient(url);
        const headers = { 'x-access-token': token };
        const run = async (cmd: string, ...args: string[]): Promise<Finished> => {
          return agent.shell('', { headers, message: { process: { cmd, args } } });
        };

        const said = await run('/bin/busybox', 'sh', '-c', 'echo $((6 * 7)); echo "$HOME" >&2; exit 3');
        assert.deepEqual([said.stdout, said.stderr, said.end?.exitCode], ['42\n', '/root\n', 3]);
        await tryOut?.(run);
        // The clients' shell is not there, which is the command's failure and nobody else's.
        await assert.rejects(sandbox.commands.run('true'), (error) => {
          assert(error instanceof CommandExitError);
          assert.equal(error.exitCode, 127);
          assert.match(error.stderr, /bash/);
          return true;
        });

        await sandbox.files.write('/www/index.html', 'served by one program');
        assert.equal(await sandbox.files.read('/www/index.html'), 'served by one program');
        assert.equal((await run('/bin/busybox', 'cat', '/www/index.html')).stdout, 'served by one program');
        const listed = await sandbox.files.list('/www');
        assert.deepEqual(
          listed.map((entry) => [entry.name, entry.owner, entry.size]),
          [['index.html', '0', 21]],
        );

        const served = await run('/bin/busybox', 'httpd', '-p', '3000', '-h', '/www');
        assert.equal(served.end?.status, 'exit status 0', served.stderr);
        await waitFor('the URL answers', async () => {
          const answer = await fetch(`https://${sandbox.getHost(3000)}/`);
          return answer.ok && (await answer.text()) === 'served by one program';
        });
        assert.deepEqual(await server.stop(), []);
      });
    });
  }
}
