// When a sandbox ends: refreshes, the longest life, and end times that a crash of the server moves in neither direction.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { NotFoundError, Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const HOUR_MS = 3_600_000;
const LONGEST_LIFE_MS = 24 * HOUR_MS;
/** More than any request here takes, and less than what is told apart. */
const TOLERANCE_MS = 30_000;

describe('end times', () => {
  let server: SandportServer;

  before(async () => {
    // What is tested here does not depend on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!, ['--warm', '0']);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  async function refresh(sandboxId: string, body?: object): Promise<{ status: number; message: string }> {
    const { apiUrl, apiKey } = server.connection;
    const response = await fetch(`${apiUrl}/sandboxes/${sandboxId}/refreshes`, {
      method: 'POST',
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, message: text === '' ? '' : (JSON.parse(text) as { message: string }).message };
  }

  const endAtOf = async (sandbox: Sandbox) => (await sandbox.getInfo()).endAt.getTime();

  async function assertLeft(sandbox: Sandbox, ms: number): Promise<void> {
    const left = (await endAtOf(sandbox)) - Date.now();
    assert(left <= ms && left > ms - TOLERANCE_MS, `${left} ms are left, not ${ms}`);
  }

  /** When and why it ended. */
  async function ended({ sandboxId }: Sandbox): Promise<{ at: number; reason: unknown }> {
    const event = await waitFor('its end is told', async () => {
      const [last] = await OwnSandbox.listEvents({ ...server.options, sandboxId, limit: 1 });
      return last?.type === 'killed' && last;
    });
    return { at: event.timestamp.getTime(), reason: event.data.kill_reason };
  }

  test('a refresh moves the end to a later time, and never to an earlier one', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 60_000 });
    const { sandboxId } = sandbox;
    assert.equal((await refresh(sandboxId, { duration: 600 })).status, 204);
    await assertLeft(sandbox, 600_000);
    const later = await endAtOf(sandbox);
    for (const body of [{ duration: 100 }, { duration: 0 }, {}, undefined]) {
      assert.equal((await refresh(sandboxId, body)).status, 204, JSON.stringify(body));
      assert.equal(await endAtOf(sandbox), later, JSON.stringify(body));
    }
    await sandbox.setTimeout(5000);
    assert.equal((await refresh(sandboxId)).status, 204);
    const least = (await endAtOf(sandbox)) - Date.now();
    assert(least > 5000 && least <= 15_000, `${least} ms are left, at least 15 seconds were asked for`);
    for (const duration of [3601, -1, '60', 1.5]) {
      const { status, message } = await refresh(sandboxId, { duration });
      assert.equal(status, 400, `${duration}`);
      assert.match(message, /duration/);
    }
    await sandbox.kill();
    const { status, message } = await refresh(sandboxId, { duration: 60 });
    assert.equal(status, 404);
    assert.match(message, /doesn't exist/);
  });

  test('no life is longer than 24 hours', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: LONGEST_LIFE_MS });
    const { startedAt } = await sandbox.getInfo();
    const last = startedAt.getTime() + LONGEST_LIFE_MS;
    assert.equal(await endAtOf(sandbox), last);
    await sandbox.setTimeout(2 * LONGEST_LIFE_MS);
    assert.equal(await endAtOf(sandbox), last, 'what is beyond is cut off');

    await server.crash();
    {
      // As a sandbox is whose pause at its end time failed again and again.
      using database = new DatabaseSync(join(server.data, 'sandport.db'));
      database
        .prepare('UPDATE sandboxes SET started_at = started_at - ? WHERE id = ?')
        .run(LONGEST_LIFE_MS + HOUR_MS, sandbox.sandboxId);
    }
    await server.launch();
    await assert.rejects(sandbox.setTimeout(60_000), /^\w*Error: 400: Max instance length exceeded$/);
    assert.equal(await endAtOf(sandbox), last, 'nothing is changed');
    await sandbox.kill();
  });

  test('a crash of the server moves no end', async () => {
    const { options } = server;
    const [sooner, later] = await Promise.all([Sandbox.create(options), Sandbox.create(options)]);
    await later.setTimeout(15_000);
    await sooner.setTimeout(1000);
    const soonerEnd = await endAtOf(sooner);
    const laterEnd = await endAtOf(later);
    await server.crash();
    await waitFor('the first end is over', () => Date.now() > soonerEnd);
    await server.launch();
    const first = await ended(sooner);
    assert.equal(first.reason, 'timeout');
    assert(first.at >= soonerEnd);
    if (Date.now() < laterEnd - 1000) assert.equal(await endAtOf(later), laterEnd);
    const second = await ended(later);
    assert.equal(second.reason, 'timeout');
    assert(second.at >= laterEnd, `it ended ${laterEnd - second.at} ms before its time`);
    for (const sandbox of [sooner, later]) {
      await assert.rejects(sandbox.getInfo(), NotFoundError);
      assert.equal(await sandbox.isRunning(), false);
    }
  });
});
