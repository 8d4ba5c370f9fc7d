// What `git` of the official client and of ours does inside a real sandbox: it runs the sandbox's own git.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Sandbox as E2bSandbox } from 'e2b';
import { GitAuthError, GitUpstreamError, Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

const REPOSITORY = '/home/user/repository';
const REMOTE = '/home/user/remote.git';

describe('git', () => {
  let server: SandportServer;
  before(async () => {
    // What is tested here does not depend on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  for (const [client, create] of [
    ['e2b', () => E2bSandbox.create(server.options)],
    ['sandport', () => OwnSandbox.create(server.options)],
  ] as const) {
    describe(client, () => gitTests(create));
  }

  describe('sandport alone', () => ownTests(() => OwnSandbox.create(server.options)));
});

function gitTests(create: () => Promise<E2bSandbox | OwnSandbox>): void {
  let sandbox: E2bSandbox | OwnSandbox;

  before(async () => {
    sandbox = await create();
    await sandbox.git.configureUser('A User', 'user@example.com');
    await sandbox.git.init(REPOSITORY, { initialBranch: 'main' });
    await sandbox.files.write(`${REPOSITORY}/file`, 'one\n');
    await sandbox.git.add(REPOSITORY);
    await sandbox.git.commit(REPOSITORY, 'The first');
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
}

function ownTests(create: () => Promise<OwnSandbox>): void {
  let sandbox: OwnSandbox;
  before(async () => {
    sandbox = await create();
    await sandbox.git.configureUser('A User', 'user@example.com');
    await sandbox.git.init(REPOSITORY, { initialBranch: 'main' });
  });

  test('status tells names with blanks and arrows, renames, conflicts and the distance to the upstream', async () => {
    const { git } = sandbox;
    await sandbox.files.write([
      { path: `${REPOSITORY}/a -> b`, data: 'a long enough line to be known again\n' },
      { path: `${REPOSITORY}/file`, data: 'one\n' },
    ]);
    assert.equal((await git.status(REPOSITORY)).currentBranch, 'main');
    await git.add(REPOSITORY);
    await git.commit(REPOSITORY, "It's the first", { authorName: "O'Hara" });
    await sandbox.commands.run("git mv 'a -> b' 'c d'; git branch base; git branch -u base", { cwd: REPOSITORY });
    await sandbox.files.write(`${REPOSITORY}/ä`, '');
    const status = await git.status(REPOSITORY);
    assert.deepEqual(status.fileStatus, [
      {
        ...{ name: 'c d', status: 'renamed', indexStatus: 'R', workingTreeStatus: ' ', staged: true },
        renamedFrom: 'a -> b',
      },
      { name: 'ä', status: 'untracked', indexStatus: '?', workingTreeStatus: '?', staged: false },
    ]);
    await git.add(REPOSITORY);
    await git.commit(REPOSITORY, 'The second');
    const { ahead, behind, upstream, isClean } = await git.status(REPOSITORY);
    assert.deepEqual({ ahead, behind, upstream, isClean }, { ahead: 1, behind: 0, upstream: 'base', isClean: true });
    await sandbox.commands.run('git checkout -q --detach', { cwd: REPOSITORY });
    assert.equal((await git.status(REPOSITORY)).detached, true);
    assert.deepEqual(await git.branches(REPOSITORY), { branches: ['base', 'main'], currentBranch: undefined });
    await git.checkoutBranch(REPOSITORY, 'main');
  });

  test('credentials are shown to the server that they are for, and kept nowhere', async () => {
    const { git, commands } = sandbox;
    const bare = '/home/user/served.git';
    await commands.run(`git clone -q --bare ${REPOSITORY} ${bare} && git -C ${bare} update-server-info`);
    await sandbox.files.write('/home/user/serve.py', SERVER);
    await commands.run('python3 /home/user/serve.py', { background: true });
    await sandbox.ports.waitFor(8123, { timeoutMs: 30_000 });
    const url = 'http://127.0.0.1:8123/served.git';
    const path = '/home/user/cloned';
    await assert.rejects(git.clone(url, { path }), GitAuthError);
    await assert.rejects(git.clone(url, { path, username: 'u', password: 'wrong' }), GitAuthError);
    await git.clone(url, { path, username: 'u', password: "p'$HOME" });
    assert.equal(await git.remoteGet(path, 'origin'), url);
    await git.pull(path, { username: 'u', password: "p'$HOME" });
    await assert.rejects(git.pull(path), GitAuthError);
    const { stdout } = await commands.run(`grep -rlF "p'\\$HOME" ${path}/.git ~/.gitconfig || true`);
    assert.equal(stdout, '');
  });

  test('what cannot be done is said', async () => {
    const { git } = sandbox;
    const alone = '/home/user/alone';
    await git.init(alone);
    await assert.rejects(git.pull(alone), GitUpstreamError);
    await assert.rejects(git.pull(alone, { password: 'p' }), { name: 'InvalidArgumentError' });
    await assert.rejects(git.restore(alone, { paths: [] }), { name: 'InvalidArgumentError' });
    await assert.rejects(git.setConfig('a.b', 'c', { scope: 'local' }), { name: 'InvalidArgumentError' });
    await assert.rejects(git.status('/home/user'), { name: 'CommandExitError', exitCode: 128 });
    assert.equal(await git.getConfig('no.such'), undefined);
    assert.equal(await git.remoteGet(alone, 'none'), undefined);
  });
}

/** Serves files to who signs in. */
const SERVER = `
import base64, http.server, os
os.chdir('/home/user')
WANTED = 'Basic ' + base64.b64encode(b"u:p'$HOME").decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get('Authorization') == WANTED:
            return super().do_GET()
        self.send_response(401)
        self.send_header('WWW-Authenticate', 'Basic realm="git"')
        self.send_header('Content-Length', '0')
        self.end_headers()
http.server.ThreadingHTTPServer(('127.0.0.1', 8123), Handler).serve_forever()
`;
