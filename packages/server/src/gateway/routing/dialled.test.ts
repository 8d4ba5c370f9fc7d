// Where a request leads is among what the control process has told, whatever a client writes: the address of the sandbox
// that it names and the port that it names, or the socket of a service.

import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import fc from 'fast-check';
import { RequestHead } from '../http1/request-head.ts';
import { Http2Request } from '../http2/request-translation.ts';
import { Sweep } from '../sweep.ts';
import type { UpstreamTarget } from '../upstream/upstream.ts';
import type { RequestFacts } from './request-facts.ts';
import { RouteTable } from './route-table.ts';
import { Router } from './router.ts';

const DOMAIN = 'box.test';
const ADDRESSES = new Map([
  ['one', '198.18.0.1'],
  ['two', '198.18.0.2'],
]);
const API = '/run/api.sock';

const sweep = new Sweep();
after(() => sweep[Symbol.dispose]());
const table = new RouteTable({ domain: DOMAIN, listen: [] }, sweep, { wake() {}, used() {} });
const access = { kind: 'public' } as const;
table.replace(
  [...ADDRESSES].map(([sandboxId, address]) => ({ sandboxId, generation: 'g', address, access, tunnelToken: 't' })),
  [{ label: 'api', socketPath: API }],
);
const router = new Router(table);

const names = fc.constantFrom(
  ...['3000-one', '3000-two', '80-one-client', '22-two', '65535-one', '65536-one', '0-one', '3000-three', '-one'],
  ...['api', 'sandbox', 'www', '127.0.0.1', '169.254.169.254', '[::1]', 'localhost', '198.18.0.3', '3000-one-two'],
);
const authority = fc
  .tuple(names, fc.constantFrom('', `.${DOMAIN}`, `.${DOMAIN}.`, '.evil.example'), fc.constantFrom('', ':22', ':99999'))
  .map((parts) => parts.join(''));
const value = fc.oneof(
  authority,
  fc.constantFrom('one', 'two', 'three', '22', '3000', '169.254.169.254', 'http://169.254.169.254/', '/run/api.sock'),
  fc.constantFrom('for=198.18.0.3;host=3000-two.box.test', 'one, two', '3000, 22', '../two'),
);
const field = fc.tuple(
  fc.constantFrom(
    ...['e2b-sandbox-id', 'e2b-sandbox-port', 'x-forwarded-host', 'x-forwarded-for', 'forwarded', 'x-original-url'],
    ...['x-rewrite-url', 'x-host', 'x-real-ip', 'proxy-host', 'via', 'referer', 'origin', 'x-sandport-address'],
  ),
  value,
);
const asked = fc.record({
  authority,
  form: fc.constantFrom('origin', 'absolute', 'other'),
  path: fc.constantFrom('/', '//169.254.169.254/', '/@198.18.0.3', '/http://two', '/?url=http://198.18.0.3/', '/..'),
  other: authority,
  fields: fc.array(field, { maxLength: 5 }),
});
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never;

/** As the gateway reads it; undefined where it refuses to. */
function overHttp1({ authority, form, path, other, fields }: Asked): RequestFacts | undefined {
  const target = { origin: path, absolute: `http://${authority}${path}`, other: `http://${other}${path}` }[form];
  const lines = fields.map(([name, text]) => `${name}: ${text}\r\n`).join('');
  const buf = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${authority}\r\n${lines}\r\n`, 'latin1');
  const head = new RequestHead();
  return head.read(buf, 0, buf.length) > 0 ? head : undefined;
}

function overHttp2({ authority, path, fields }: Asked): RequestFacts | undefined {
  const raw = [':method', 'GET', ':scheme', 'http', ':path', path, ':authority', authority];
  const request = new Http2Request([...raw, ...fields.flat()]);
  return request.fault === undefined ? request : undefined;
}

/** What the request says in the two ways that count. */
function expected({ authority, fields }: Asked): UpstreamTarget | undefined {
  const host = authority.toLowerCase().replace(/:[0-9]*$/, '');
  const label = host.split('.')[0]!;
  const named = /^([0-9]+)-([a-z]+)(?:-.*)?$/.exec(label);
  if (named !== null && host.includes('.')) return at(named[2]!, named[1]!);
  if (host === `api.${DOMAIN}` || host === `api.${DOMAIN}.`) return { kind: 'service', path: API };
  const first = (name: string) => fields.find(([key]) => key === name)?.[1];
  return at(first('e2b-sandbox-id') ?? '', first('e2b-sandbox-port') ?? '');
}

function at(sandboxId: string, port: string): UpstreamTarget | undefined {
  const host = ADDRESSES.get(sandboxId);
  return host === undefined ? undefined : { kind: 'sandbox', sandboxId, host, port: Number(port), tunnelToken: 't' };
}

it('no request leads to an address that its own host does not stand for', () => {
  let led = 0;
  fc.assert(
    fc.property(asked, (request) => {
      for (const facts of [overHttp1(request), overHttp2(request)]) {
        if (facts === undefined) continue;
        const answer = router.route(facts);
        if (!('upstream' in answer)) continue;
        led++;
        assert.deepEqual(answer.upstream.target, expected(request));
      }
    }),
    { numRuns: 5000, seed: 20_260_103 },
  );
  assert(led > 500, `${led} requests led anywhere`);
});
