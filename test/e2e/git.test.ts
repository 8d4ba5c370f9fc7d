// What the official client's `git` does inside a real sandbox: it runs the sandbox's own git.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

const REPOSITORY = '/home/user/repository';
const REMOTE = '/home/user/remote.git';

describe('git', () => {
  let server: SandportServer;
  let sandbox: Sandbox;

  before(async () => {
    // What is tested here does not depend on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!);
    sandbox = await Sandbox.create(server.options);
    await sandbox.git.configureUser('A User', 'user@example.com');
    await sandbox.git.init(REPOSITORY, { initialBranch: 'main' });
    await sandbox.files.write(`${REPOSITORY}/file`, 'one\n');
    await sandbox.git.add(REPOSITORY);
    await sandbox.git.commit(REPOSITORY, 'The first');
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  const content = (): Promise<string> => sandbox.files.read(`${REPOSITORY}/file`);

  test('configuration is kept', async () => {
    assert.equal(await sandbox.git.getConfig('user.email'), 'user@example.com');
    await sandbox.git.setConfig('core.pager', 'cat');
    assert.equal(await sandbox.git.getConfig('core.pager'), 'cat');
  });

  test('changes are seen, thrown away and unstaged', async () => {
    assert.equal((await sandbox.git.status(REPOSITORY)).isClean, true);
    await sandbox.files.write(`${REPOSITORY}/file`, 'two\n');
    assert.equal((await sandbox.git.status(REPOSITORY)).hasChanges, true);
    await sandbox.git.restore(REPOSITORY, { paths: ['file'] });
    assert.equal(await content(), 'one\n');
    await sandbox.files.write(`${REPOSITORY}/file`, 'three\n');
    await sandbox.git.add(REPOSITORY);
    await sandbox.git.reset(REPOSITORY, { mode: 'hard' });
    assert.equal(await content(), 'one\n');
  });

  test('branches are made, changed to and deleted', async () => {
    await sandbox.git.createBranch(REPOSITORY, 'side');
    await sandbox.git.checkoutBranch(REPOSITORY, 'main');
    const { branches, currentBranch } = await sandbox.git.branches(REPOSITORY);
    assert.deepEqual([branches.sort(), currentBranch], [['main', 'side'], 'main']);
    await sandbox.git.deleteBranch(REPOSITORY, 'side');
    assert.deepEqual((await sandbox.git.branches(REPOSITORY)).branches, ['main']);
  });

  test('commits go to a remote, into a clone and back', async () => {
    await sandbox.git.init(REMOTE, { bare: true, initialBranch: 'main' });
    await sandbox.git.remoteAdd(REPOSITORY, 'origin', REMOTE);
    assert.equal(await sandbox.git.remoteGet(REPOSITORY, 'origin'), REMOTE);
    await sandbox.git.push(REPOSITORY, { remote: 'origin', branch: 'main' });
    const clone = '/home/user/clone';
    await sandbox.git.clone(REMOTE, { path: clone });
    await sandbox.files.write(`${clone}/file`, 'from the clone\n');
    await sandbox.git.add(clone);
    await sandbox.git.commit(clone, 'The second');
    await sandbox.git.push(clone, { remote: 'origin', branch: 'main' });
    await sandbox.git.pull(REPOSITORY, { remote: 'origin', branch: 'main' });
    assert.equal(await content(), 'from the clone\n');
  });

  test('credentials are stored for later commands', async () => {
    await sandbox.git.dangerouslyAuthenticate({ username: 'u', password: 'p' });
    const { stdout } = await sandbox.commands.run(
      'printf "protocol=https\\nhost=github.com\\n\\n" | git credential fill',
    );
    assert.match(stdout, /username=u\npassword=p\n/);
  });
});
