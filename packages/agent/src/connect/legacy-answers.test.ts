import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
  mkdirSync(join(agent.home, 'directory'));
  symlinkSync('/no/such', join(agent.home, 'link'));
});
after(() => agent[Symbol.asyncDispose]());

function call(method: string, message: object, userAgent: string): Promise<Response> {
  return fetch(`${agent.url}/filesystem.Filesystem/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': userAgent },
    body: JSON.stringify(message),
  });
}

test('the first Python client gets entries with the three fields that it knows', async () => {
  const listed = await call('ListDir', { path: agent.home }, 'connect-python');
  assert.equal(listed.headers.get('x-e2b-legacy-sdk'), 'true');
  assert.deepEqual((await listed.json()).entries, [
    { name: 'directory', path: `${agent.home}/directory`, type: 'FILE_TYPE_DIRECTORY' },
    { name: 'link', path: `${agent.home}/link` },
  ]);
  const made = await call('MakeDir', { path: `${agent.root}/made` }, 'connect-python');
  assert.deepEqual(await made.json(), {
    entry: { name: 'made', type: 'FILE_TYPE_DIRECTORY', path: `${agent.root}/made` },
  });
  assert.equal((await call('Stat', { path: '/no/such' }, 'connect-python')).status, 404);
});

test('the first Python client gets events without entries', async () => {
  const watched = { path: join(agent.home, 'directory'), includeEntry: true };
  const { watcherId } = await (await call('CreateWatcher', watched, 'connect-python')).json();
  await call('MakeDir', { path: join(agent.home, 'directory/made') }, 'connect-python');
  const [event] = await until('the watcher has an event', async () => {
    return (await (await call('GetWatcherEvents', { watcherId }, 'connect-python')).json()).events as
      | object[]
      | undefined;
  });
  assert.deepEqual(event, { name: 'made', type: 'EVENT_TYPE_CREATE' });
});

test('every other client gets all of them', async () => {
  for (const agentName of ['e2b-python-sdk/2.45.1', 'connect-python/0.9.0']) {
    const answer = await call('Stat', { path: agent.root }, agentName);
    assert.equal(answer.headers.get('x-e2b-legacy-sdk'), null);
    assert.equal((await answer.json()).entry.owner, 'root', agentName);
  }
});
