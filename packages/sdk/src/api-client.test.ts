import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { callApi } from './api-client.ts';
import {
  AuthenticationError,
  InvalidArgumentError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  SandportError,
  ServiceBusyError,
  TemplateError,
  TimeoutError,
} from './errors.ts';
import { API_KEY, FakeServer, json } from './testing/fake-server.ts';

let server: FakeServer;
before(async () => {
  server = await FakeServer.start();
});
after(() => server[Symbol.asyncDispose]());

async function failure(path: string, options: object = {}): Promise<SandportError & { statusCode?: number }> {
  const error = await callApi({ ...server.options, ...options }, 'GET', path).catch((thrown: unknown) => thrown);
  assert(error instanceof SandportError, String(error));
  return error;
}

test('every kind of error answer becomes the class that programs catch, with the code and the status', async () => {
  const cases: [number, string | undefined, abstract new (...args: never[]) => SandportError, string][] = [
    [400, 'invalid_network_rule', InvalidArgumentError, 'invalid_network_rule'],
    [400, undefined, InvalidArgumentError, 'invalid_argument'],
    [401, 'unauthorized', AuthenticationError, 'unauthorized'],
    [404, 'template_not_found', TemplateError, 'template_not_found'],
    [404, 'sandbox_not_found', SandboxNotFoundError, 'sandbox_not_found'],
    [404, 'route_not_found', NotFoundError, 'route_not_found'],
    [409, 'sandbox_state_conflict', SandboxError, 'sandbox_state_conflict'],
    [429, 'too_many_sandboxes', RateLimitError, 'too_many_sandboxes'],
    [500, 'internal_error', SandboxError, 'internal_error'],
    [503, 'capacity_exhausted', ServiceBusyError, 'capacity_exhausted'],
    [418, 'newer_than_this_client', SandboxError, 'client_error'],
    [400, 'constructor', InvalidArgumentError, 'invalid_argument'],
  ];
  for (const [status, error_code, Class, code] of cases) {
    server.on('GET /x', json(status, { code: status, message: 'what was wrong', error_code }));
    const error = await failure('/x');
    assert(error instanceof Class, `${status} ${error_code}: ${error.name}`);
    assert.equal(error.name, Class.name);
    assert.match(error.message, /what was wrong/);
    assert.equal(error.code, code);
    assert.equal(error.statusCode, status);
    assert(error.hint.length > 0);
  }
});

test('a 404 without a code, below one sandbox, means that sandbox', async () => {
  for (const path of ['/sandboxes/i1', '/sandboxes/i1/timeout', '/v2/sandboxes/i1/connect']) {
    server.on(`GET ${path}`, json(404, { code: 404, message: 'not there' }));
    assert((await failure(path)) instanceof SandboxNotFoundError);
  }
  server.on('GET /v2/sandboxes', json(404, { code: 404, message: 'not there' }));
  assert(!((await failure('/v2/sandboxes?limit=1')) instanceof SandboxNotFoundError));
});

test('authentication and overload are told apart from failures of a sandbox, under the one root', async () => {
  server.on('GET /x', json(401, { code: 401, message: 'no' }));
  assert(!((await failure('/x')) instanceof SandboxError));
  server.on('GET /x', json(503, { code: 503, message: 'full' }));
  assert(!((await failure('/x')) instanceof SandboxError));
});

test('an answer that is not of the API is an error that shows it', async () => {
  server.on('GET /x', (response) => response.writeHead(502).end('<html>Bad Gateway</html>'));
  assert.match((await failure('/x')).message, /502/);
  server.on('GET /x', (response) => response.writeHead(500, { 'content-type': 'application/json' }).end('null'));
  assert.match((await failure('/x')).message, /500/);
  server.on('GET /x', (response) => response.writeHead(200).end('<html>Sign in to the guest network</html>'));
  assert.match((await failure('/x')).message, /not JSON: "<html>Sign in/);
});

test('an answer that is cut short, or never comes, is an error of ours', async () => {
  server.on('GET /x', (response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"half":', () => response.destroy());
  });
  assert.equal((await failure('/x')).code, 'connection_failed');
  server.on('GET /x', () => {});
  const late = await failure('/x', { requestTimeoutMs: 60 });
  assert(late instanceof TimeoutError);
  server.on('GET /x', (response) => response.writeHead(200).write('{'));
  assert((await failure('/x', { requestTimeoutMs: 60 })) instanceof TimeoutError);
});

test('a server that is not there is named, with the reason', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  const error = await failure('/x', { apiUrl: `http://127.0.0.1:${port}` });
  assert.equal(error.code, 'connection_failed');
  assert.match(error.message, new RegExp(`http://127.0.0.1:${port} cannot be reached: .*ECONNREFUSED`));
});

test('what the caller aborts rejects with the reason of the caller', async () => {
  server.on('GET /x', () => {});
  const reason = new Error('changed my mind');
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(callApi({ ...server.options, signal: controller.signal }, 'GET', '/x'), reason);
  await assert.rejects(callApi({ ...server.options, signal: AbortSignal.abort(reason) }, 'GET', '/x'), reason);
});

test('a refused request is not sent again', async () => {
  server.on('POST /sandboxes', json(429, { code: 429, message: 'later' }, { 'retry-after': '0' }));
  const sent = server.seen.length;
  await assert.rejects(callApi(server.options, 'POST', '/sandboxes', {}), RateLimitError);
  assert.equal(server.seen.length, sent + 1);
});

test('key and headers are sent, and no error has the key in it', async () => {
  server.on('GET /x', json(401, { code: 401, message: 'no such key' }));
  const error = await failure('/x', { headers: { 'x-one': '1' }, apiHeaders: { 'x-two': '2' } });
  const { headers } = server.seen.at(-1)!;
  assert.deepEqual([headers['x-api-key'], headers['x-one'], headers['x-two']], [API_KEY, '1', '2']);
  assert(!`${error.stack}${JSON.stringify(error)}`.includes(API_KEY));
});

test('without a key nothing is sent', async (context) => {
  const saved = { ...process.env };
  context.after(() => Object.assign(process.env, saved));
  delete process.env.E2B_API_KEY;
  delete process.env.SANDPORT_API_KEY;
  const sent = server.seen.length;
  assert((await failure('/x', { apiKey: undefined })) instanceof AuthenticationError);
  assert.equal(server.seen.length, sent);
});
