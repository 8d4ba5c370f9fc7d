// Who may ask a sandbox's agent for what, through its public URL, over both versions of HTTP.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { agentAccess } from '../support/agent-access.ts';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

const UNAUTHORIZED = 'unauthorized access, please provide a valid access token or method signing if supported';
const JSON_TYPE = { 'content-type': 'application/json' };
/** Names what is not there, so that no call does harm. */
const NOTHING = JSON.stringify({ path: '/tmp/none', source: '/tmp/none', destination: '/tmp/none' });
/** Every route of the agent, with a request that it would answer 200 or 204 to those who may. */
const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/metrics' },
  { method: 'GET', path: '/envs' },
  ...['List', 'SendInput', 'CloseStdin', 'SendSignal', 'Update'].map((name) => rpc('process.Process', name)),
  ...['Stat', 'MakeDir', 'Move', 'ListDir', 'Remove', 'CreateWatcher', 'GetWatcherEvents', 'RemoveWatcher'].map(
    (name) => rpc('filesystem.Filesystem', name),
  ),
  ...['Start', 'Connect', 'StreamInput'].map((name) => rpc('process.Process', name, 'application/connect+json')),
  rpc('filesystem.Filesystem', 'WatchDir', 'application/connect+proto'),
  { method: 'GET', path: '/no/such/route' },
  { method: 'POST', path: '/process.Process/NoSuchMethod' },
];
const CONTROL = ['/init', '/tunnel', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade'];

interface Route {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function rpc(service: string, method: string, type = 'application/json'): Route {
  return { method: 'POST', path: `/${service}/${method}`, headers: { 'content-type': type }, body: NOTHING };
}

// The gateway and the agent decide it, and neither knows the runtime.
for (const runtime of runtimes.slice(-1)) {
  describe(`access to the agent under ${runtime}`, () => {
    let server: SandportServer;
    let secure: Sandbox;
    /** The host name of the agent of a sandbox that was created without `secure`. */
    let open: string;
    let session: ClientHttp2Session;
    let token: string;

    before(async () => {
      server = await SandportServer.start(runtime);
      const { apiUrl, apiKey, domain } = server.connection;
      secure = await Sandbox.create(server.options);
      // The official client secures every sandbox; the API does what it is asked.
      const created = await fetch(`${apiUrl}/sandboxes`, {
        method: 'POST',
        headers: { ...JSON_TYPE, 'x-api-key': apiKey },
        body: JSON.stringify({ templateID: 'base', timeout: 300 }),
      });
      open = `49983-${((await created.json()) as { sandboxID: string }).sandboxID}.${domain}`;
      await secure.files.write('greeting.txt', 'hello');
      ({ token } = await agentAccess(server, secure.sandboxId));
      session = connect(`https://${secure.getHost(49983)}`);
      await once(session, 'connect');
    });
    after(async () => {
      session?.destroy();
      assert.deepEqual(await server.stop(), []);
    });

    const versions: Record<string, (host: string, route: Route) => Promise<Answer>> = {
      async 'HTTP/1.1'(host, { method, path, headers = {}, body = '' }) {
        // The path goes out as it stands, which a URL's would not.
        const sent = request(`https://${host}`, { method, path, headers, agent: false });
        sent.end(body);
        const [answer] = await once(sent, 'response');
        return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
      },
      async 'HTTP/2'(host, { method, path, headers = {}, body = '' }) {
        const fields = { ':authority': host, ':method': method, ':path': path, ...headers };
        const stream = session.request(fields, { endStream: body === '' });
        if (body !== '') stream.end(body);
        const [answer] = await once(stream, 'response');
        return { status: answer[':status'], headers: answer, body: await text(stream) };
      },
    };

    for (const [version, send] of Object.entries(versions)) {
      test(`without the token, or with a wrong one, all but health is 401 over ${version}`, async () => {
        assert.equal((await send(agentOf(secure), { method: 'GET', path: '/health' })).status, 204);
        for (const route of ROUTES) {
          for (const wrong of [
            {},
            { 'x-access-token': '' },
            { 'x-access-token': `${token}0` },
            { authorization: `Bearer ${token}` },
          ]) {
            const answer = await send(agentOf(secure), {
              ...route,
              headers: { ...route.headers, ...wrong } as Record<string, string>,
            });
            assert.equal(answer.status, 401, `${route.path} with ${Object.keys(wrong)}`);
            assert.deepEqual(JSON.parse(answer.body), { code: 401, message: UNAUTHORIZED });
          }
        }
      });

      test(`with the token every route is reached over ${version}`, async () => {
        for (const route of ROUTES) {
          const answer = await send(agentOf(secure), {
            ...route,
            headers: { ...route.headers, 'x-access-token': token },
          });
          assert.notEqual(answer.status, 401, route.path);
        }
        assert.equal(
          (await send(agentOf(secure), { method: 'GET', path: '/envs', headers: { 'x-access-token': token } })).status,
          200,
        );
      });

      test(`files are for the token or a signature over ${version}`, async () => {
        const signed = new URL(await secure.downloadUrl('greeting.txt'));
        const signature = signed.searchParams.get('signature')!;
        const get = (path: string, headers = {}) => send(agentOf(secure), { method: 'GET', path, headers });
        assert.equal((await get(signed.pathname + signed.search)).body, 'hello');
        assert.equal((await get('/files?path=greeting.txt', { 'x-access-token': token })).body, 'hello');
        const other = encodeURIComponent(signature.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')));
        const right = encodeURIComponent(signature);
        for (const [path, headers, message] of [
          ['/files?path=greeting.txt', {}, 'missing signature query parameter'],
          [`/files?path=greeting.txt&signature=${other}`, {}, 'invalid signature'],
          [`/files?path=other.txt&signature=${right}`, {}, 'invalid signature'],
          [`/files?path=greeting.txt&username=root&signature=${right}`, {}, 'invalid signature'],
          [`/files?path=greeting.txt&signature_expiration=99999999999&signature=${right}`, {}, 'invalid signature'],
          // A token that is there decides alone.
          [
            signed.pathname + signed.search,
            { 'x-access-token': 'wrong' },
            'access token present in header but does not match',
          ],
        ] as const) {
          const answer = await get(path, headers);
          assert.deepEqual([answer.status, JSON.parse(answer.body)], [401, { code: 401, message }], path);
        }
        const written = await send(agentOf(secure), {
          method: 'POST',
          path: signed.pathname + signed.search,
          body: 'x',
        });
        assert.equal(written.status, 401, 'a signature for reading does not write');
      });

      test(`a sandbox that is not secure answers all of it over ${version}`, async () => {
        for (const route of ROUTES) assert.notEqual((await send(open, route)).status, 401, route.path);
        assert.equal((await send(open, { method: 'GET', path: '/files?path=/etc/hostname' })).status, 200);
      });

      test(`control routes are nobody's over ${version}, token or not`, async () => {
        for (const to of [agentOf(secure), open]) {
          for (const path of CONTROL) {
            for (const spelled of [
              path,
              `/${path}`,
              `${path}/`,
              `/files/..${path}`,
              `/%2e${path}`,
              path.toUpperCase(),
            ]) {
              const answer = await send(to, {
                method: 'POST',
                path: spelled,
                headers: { 'x-access-token': token },
                body: '{}',
              });
              assert.equal(answer.status, 404, spelled);
              assert.match(answer.body, /reserved for the E2B control plane/);
            }
          }
        }
      });

      test(`a page of any origin may ask over ${version}, and read the refusal`, async () => {
        const origin = { origin: 'https://page.example' };
        const preflight = await send(agentOf(secure), {
          method: 'OPTIONS',
          path: '/process.Process/Start',
          headers: {
            ...origin,
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'x-access-token',
          },
        });
        assert.equal(preflight.status, 204);
        assert.equal(preflight.headers['access-control-allow-headers'], 'x-access-token');
        const refused = await send(agentOf(secure), {
          method: 'POST',
          path: '/process.Process/List',
          headers: { ...origin, ...JSON_TYPE },
        });
        assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [401, '*']);
      });
    }
  });
}

function agentOf(sandbox: Sandbox): string {
  return sandbox.getHost(49983);
}

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}
