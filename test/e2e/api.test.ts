// The REST API as clients and as people with wrong input meet it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AuthenticationError, NotFoundError, Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

describe('API', () => {
  let server: SandportServer;

  before(async () => {
    // What is tested here does not depend on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.connection.apiUrl}${path}`, {
      method,
      headers: { 'x-api-key': server.connection.apiKey, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : parse(text) };
  }

  function parse(text: string): { code?: number; message?: string; error_code?: string } {
    return JSON.parse(text) as { code?: number; message?: string; error_code?: string };
  }

  async function refuses(
    what: Promise<Awaited<ReturnType<typeof call>>>,
    status: number,
    message: RegExp,
  ): Promise<void> {
    const answer = await what;
    assert.equal(answer.status, status);
    assert.equal(answer.body?.code, status);
    assert.match(answer.body?.message ?? '', message);
    assert.equal(typeof answer.body?.error_code, 'string');
    assert.deepEqual((await Sandbox.list(server.options).nextItems()).length, 0, 'nothing was created');
  }

  const base = { templateID: 'base', timeout: 60 };

  test('figures for Prometheus are for who has a key, in either header', async () => {
    const { apiUrl, apiKey } = server.connection;
    assert.equal((await fetch(`${apiUrl}/metrics`)).status, 401);
    for (const headers of [{ 'x-api-key': apiKey }, { authorization: `Bearer ${apiKey}` }]) {
      const answer = await fetch(`${apiUrl}/metrics`, { headers });
      assert.match(answer.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
      const text = await answer.text();
      assert.match(text, /^sandport_gateway_workers 1$/m);
      assert.match(text, /^sandport_gateway_requests_total\{version="[12]",status="401"\} [1-9]/m);
    }
  });

  test('health answers without a key, everything else asks for one', async () => {
    const health = await fetch(`${server.connection.apiUrl}/health`);
    assert.equal(health.status, 200);
    await refuses(call('GET', '/v2/sandboxes', undefined, { 'x-api-key': '' }), 401, /no API key/);
    await refuses(call('POST', '/sandboxes', base, { 'x-api-key': `e2b_${'0'.repeat(40)}` }), 401, /not valid/);
    await refuses(call('POST', '/sandboxes', base, { 'x-api-key': 'x'.repeat(5000) }), 401, /not valid/);
    await assert.rejects(Sandbox.create({ ...server.options, apiKey: `e2b_${'1'.repeat(40)}` }), AuthenticationError);
  });

  test('bad input is refused with what was wrong, and nothing is created', async () => {
    await refuses(call('POST', '/sandboxes', { ...base, templateID: 'nothing' }), 404, /template 'nothing' not found/);
    await refuses(call('POST', '/sandboxes', { ...base, timeout: -1 }), 400, /Timeout must be greater than 0/);
    await refuses(call('POST', '/sandboxes', { ...base, timeout: 0 }), 400, /Timeout must be greater than 0/);
    await refuses(
      call('POST', '/sandboxes', { ...base, timeout: 1e9 }),
      400,
      /Timeout cannot be greater than 24 hours/,
    );
    await refuses(call('POST', '/sandboxes', { ...base, timeout: 1.5 }), 400, /timeout/);
    await refuses(call('POST', '/sandboxes', { ...base, timeout: '60' }), 400, /timeout/);
    await refuses(call('POST', '/sandboxes', { ...base, metadata: { a: 5 } }), 400, /metadata\/a must be string/);
    await refuses(call('POST', '/sandboxes', { timeout: 60 }), 400, /templateID/);
    await refuses(call('POST', '/sandboxes', '{"templateID": "ba'), 400, /JSON/);
    await refuses(call('POST', '/sandboxes', '[]'), 400, /object/);
    const long = 'x'.repeat(100_000);
    const envVars = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`A${index}`, long]));
    await refuses(call('POST', '/sandboxes', { ...base, envVars }), 413, /large/);
    const fewer = Object.fromEntries(Object.entries(envVars).slice(0, 150));
    await refuses(
      call('POST', '/sandboxes', { ...base, envVars: fewer }),
      400,
      /envVars must be at most 1048576 bytes/,
    );
    await refuses(call('POST', '/sandboxes', { ...base, envVars: { 'A=B': '' } }), 400, /envVars must have no NUL/);
    await refuses(call('POST', '/sandboxes', { ...base, envVars: { A: 'a\0b' } }), 400, /envVars must have no NUL/);
    await refuses(call('POST', '/sandboxes', 'a=b', { 'content-type': 'text/csv' }), 415, /text\/csv|Media/i);
    await refuses(
      call('POST', '/sandboxes', { ...base, secure: true, network: { maskRequestHost: '-https://abcd' } }),
      400,
      /maskRequestHost/,
    );
    await refuses(
      call('POST', '/sandboxes', { ...base, network: { allowPublicTraffic: false } }),
      400,
      /without public access/,
    );
    await refuses(
      call('POST', '/sandboxes', { ...base, network: { denyOut: ['example.com'] } }),
      400,
      /invalid denied CIDR example.com/,
    );
    await refuses(call('POST', '/sandboxes', { ...base, network: { allowOut: ['example.com'] } }), 400, /ALL_TRAFFIC/);
    await refuses(
      call('POST', '/sandboxes', { ...base, network: { denyOut: ['10.0.0.0/99'] } }),
      400,
      /invalid denied CIDR/,
    );
    await refuses(
      call('POST', '/sandboxes', { ...base, network: { denyOut: ['1.2.3.4; flush ruleset'] } }),
      400,
      /invalid denied CIDR/,
    );
    const unknown: readonly (readonly [object, RegExp])[] = [
      [{ httpPorts: [3000] }, /body\/network has no option "httpPorts"/],
      [{ denyOUT: ['0.0.0.0/0'] }, /body\/network has no option "denyOUT"/],
      [{ egressProxy: { address: 'proxy.test:1080', kind: 'http' } }, /egressProxy has no option "kind"/],
      [{ rules: { 'a.test': [{ redirect: 'b.test' }] } }, /rules\/a\.test\/0 has no option "redirect"/],
      [{ rules: { 'a.test': [{ transform: { body: 'x' } }] } }, /transform has no option "body"/],
    ];
    for (const [network, message] of unknown) {
      await refuses(call('POST', '/sandboxes', { ...base, network }), 400, message);
    }
    const none = `/sandboxes/${'i'.padEnd(21, 'x')}/network`;
    await refuses(call('PUT', none, { httpsPorts: [3000] }), 400, /body has no option "httpsPorts"/);
    await refuses(call('POST', '/sandboxes', { ...base, autoResume: { enabled: true } }), 400, /autoPause/);
    await refuses(call('GET', '/sandboxes/UPPER'), 400, /Invalid sandbox ID/);
    await refuses(call('GET', `/sandboxes/${'i'.padEnd(21, 'x')}`), 404, /doesn't exist/);
    await refuses(call('DELETE', `/sandboxes/${'i'.padEnd(21, 'x')}`), 404, /doesn't exist/);
    await refuses(call('GET', '/v2/sandboxes?limit=0'), 400, /limit/);
    await refuses(call('GET', '/v2/sandboxes?nextToken=%00'), 400, /Invalid next token/);
    await refuses(call('GET', '/no/such/route'), 404, /no such route/);
  });

  test('a created sandbox is told in full, listed by metadata, page by page, and killed', async () => {
    const sandboxes = await Promise.all(
      ['red', 'green', 'blue'].map((colour) =>
        Sandbox.create({ ...server.options, metadata: { colour, shape: 'a&b=c d' } }),
      ),
    );
    try {
      const info = await sandboxes[1]!.getInfo();
      assert.deepEqual(info.metadata, { colour: 'green', shape: 'a&b=c d' });
      assert.equal(info.state, 'running');
      assert.equal(info.templateId, 'base');
      assert(info.endAt.getTime() - info.startedAt.getTime() > 299_000);

      const green = await Sandbox.list({
        ...server.options,
        query: { metadata: { colour: 'green', shape: 'a&b=c d' } },
      }).nextItems();
      assert.deepEqual(
        green.map(({ sandboxId }) => sandboxId),
        [sandboxes[1]!.sandboxId],
      );

      const totals = await Promise.all(
        ['', '?state=running,paused', '?state=paused'].map(async (query) => {
          const { headers } = await call('GET', `/v2/sandboxes${query}`);
          return headers.get('x-total-running');
        }),
      );
      assert.deepEqual(totals, ['3', '3', null], 'the total is told who asks for those that run');

      const pages = Sandbox.list({ ...server.options, limit: 2 });
      const first = await pages.nextItems();
      assert.equal(first.length, 2);
      assert.equal(pages.hasNext, true);
      const second = await pages.nextItems();
      assert.equal(pages.hasNext, false);
      assert.deepEqual(
        [...first, ...second].map(({ sandboxId }) => sandboxId).sort(),
        sandboxes.map(({ sandboxId }) => sandboxId).sort(),
      );
    } finally {
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
    }
    assert.equal((await Sandbox.list(server.options).nextItems()).length, 0);
  });

  test('a sandbox ends at its end time, which can be moved both ways', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 60_000 });
    await sandbox.setTimeout(600_000);
    const later = (await sandbox.getInfo()).endAt.getTime();
    assert(later - Date.now() > 590_000);
    await Sandbox.connect(sandbox.sandboxId, { ...server.options, timeoutMs: 5_000 });
    assert.equal((await sandbox.getInfo()).endAt.getTime(), later, 'connect never shortens');
    await sandbox.setTimeout(1_000);
    await waitFor('it has ended', async () => !(await sandbox.isRunning()));
    await assert.rejects(sandbox.getInfo(), NotFoundError);
    await assert.rejects(sandbox.setTimeout(1000), NotFoundError);
  });

  test('the API describes itself', async () => {
    const { body } = await call('GET', '/openapi.json');
    assert(Object.keys((body as unknown as { paths: object }).paths).includes('/sandboxes/{sandboxID}'));
  });
});
