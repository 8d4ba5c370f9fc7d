// What the gateway forwards is read by other parsers as it read it: Node's and nginx's see the same requests, each of
// which the gateway has forwarded as one. Requests are put together at random from what parsers have disagreed about.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { NginxOrigin } from './testing/nginx-origin.ts';
import { HttpOrigin } from './testing/origin.ts';
import { waitUntil } from './testing/wait-until.ts';

const SEED = Number(process.env.SANDPORT_FUZZ_SEED ?? 20_260_102);
const PAYLOADS = Number(process.env.SANDPORT_FUZZ_RUNS ?? 2500);
const AT_ONCE = 16;
/** Node refuses methods that it does not know, such as one that starts within what was another's body. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD'];
/** Stands for the host name, which is not the same for both servers. */
const HOST = '@HOST@';
const DECOY = `GET /decoy HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

const often = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const line = fc.constantFrom(
  'X: y',
  'X:y',
  'X: \t y \t',
  `X: ${'z'.repeat(3000)}`,
  'Content-Length: 0',
  'Content-Length: 3',
  'Content-Length:3',
  'Content-Length: 003',
  'Content-Length: +3',
  'Content-Length: 3, 3',
  'Content-Length: 0x3',
  'Content-Length: -1',
  'content-length : 3',
  'Content_Length: 3',
  `Content-Length: ${DECOY.length}`,
  'Transfer-Encoding: chunked',
  'transfer-encoding:Chunked',
  'Transfer-Encoding: \tchunked ',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked\x0b',
  'Transfer-Encoding : chunked',
  'Transfer_Encoding: chunked',
  'X-Transfer-Encoding: chunked',
  ' Transfer-Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive, Transfer-Encoding',
  'Connection: Content-Length',
  'Connection: X, close',
  'TE: trailers',
  'Trailer: T',
  'Upgrade: h2c',
  'Keep-Alive: timeout=1',
  `Host: ${HOST}`,
  'Host: other',
  'X-Forwarded-Host: decoy',
  'X_Forwarded_Host: decoy',
  'A\0: b',
  'A: b\0',
  'A: b\rC: d',
  'A: b\nC: d',
  ': b',
  'A',
  '',
);

const body = fc.constantFrom(
  '',
  '',
  'abc',
  DECOY,
  '3\r\nabc\r\n0\r\n\r\n',
  '3;x="\r\n"\r\nabc\r\n0\r\n\r\n',
  '3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n',
  '3 \r\nabc\r\n0\r\n\r\n',
  '003\r\nabc\r\n00\r\n\r\n',
  '3\nabc\n0\n\n',
  '0x3\r\nabc\r\n0\r\n\r\n',
  '3\r\nabcd\r\n0\r\n\r\n',
  '0\r\n\r\n',
  `0\r\n\r\n${DECOY}`,
  `0\r\nContent-Length: ${DECOY.length}\r\n\r\n${DECOY}`,
  `${DECOY.length.toString(16)}\r\n${DECOY}\r\n0\r\n\r\n`,
  '\r\n',
);

const message = fc
  .record({
    method: often('POST', 'GET', 'HEAD', 'PUT', 'DELETE', 'post', 'FOO', 'P\tOST'),
    target: often('/a', '/a?b=c', `http://${HOST}/d`, 'http://other/d', '/%61', '//a', '/a b', 'a', ''),
    version: often('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 '),
    host: often([`Host: ${HOST}`], [], [`host:${HOST}`]),
    lines: fc.array(line, { maxLength: 4 }),
    end: often('\r\n', '\n', '\r', '\r\r\n'),
    body,
  })
  .map(({ method, target, version, host, lines, end, body }) => {
    const [first, ...rest] = [`${method} ${target} ${version}`, ...host, ...lines, '', ''];
    // One line end in the whole head may be an unusual one.
    return `${first}${end}${rest.join('\r\n')}${body}`;
  });

const payload = fc.record({
  messages: fc.array(message, { minLength: 1, maxLength: 3 }),
  /** Where the payload is cut in two writes. */
  cut: fc.option(fc.nat(400)),
});

let control: FakeControl;
let node: HttpOrigin;
let nginx: NginxOrigin;
/** What Node has read, as `PAYLOAD METHOD TARGET X-FORWARDED-HOST`. */
const readByNode: string[] = [];
const nodeErrors = new Set<string>();

before(async () => {
  node = await HttpOrigin.start((incoming, response) => {
    incoming.resume().on('end', () => {
      const { method, url, headers } = incoming;
      readByNode.push(`${method} ${url} ${headers['x-forwarded-host']}`);
      response.end('ok');
    });
  });
  node.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    nodeErrors.add(error.code ?? 'unknown');
    socket.destroy();
  });
  nginx = await NginxOrigin.start('$status $request_method $request_uri $http_x_forwarded_host');
  control = await FakeControl.start([]);
});

after(async () => {
  await control[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
  await nginx[Symbol.asyncDispose]();
});

async function hostOf(sandboxId: string, origin: { address: string; port: number }): Promise<string> {
  const route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' } } as const;
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

/** Sends bytes, closes this side, and waits for the end of the other. */
async function send(text: string, cut: number | null): Promise<string> {
  const socket = connect({ port: control.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close').catch(() => {});
  if (cut !== null && cut < text.length) {
    socket.write(text.slice(0, cut), 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
    socket.end(text.slice(cut), 'latin1');
  } else {
    socket.end(text, 'latin1');
  }
  socket.on('end', () => socket.destroy());
  await closed;
  return received;
}

describe('what is forwarded', () => {
  it('is the same requests to Node and to nginx, and each is one that the gateway made', async (t) => {
    t.diagnostic(`seed ${SEED}, ${PAYLOADS} payloads; SANDPORT_FUZZ_SEED and SANDPORT_FUZZ_RUNS choose others`);
    const hosts = [await hostOf('n', node), await hostOf('x', nginx)] as const;
    const payloads = fc.sample(payload, { seed: SEED, numRuns: PAYLOADS });
    let next = 0;
    let answered = 0;
    /** Payloads after an answer of which only one of the two servers was asked more. */
    const cutShort = new Set<string>();
    const work = async (): Promise<void> => {
      for (let i = next++; i < payloads.length; i = next++) {
        const { messages, cut } = payloads[i]!;
        // The number of the payload goes into every target, so that what was read can be told apart.
        const text = messages.join('').replace(/( |@)\/(?=[a%/d])/g, `$1/${i}/`);
        const answers: string[][] = [];
        for (const host of hosts) {
          const answer = await send(text.replaceAll(HOST, host), cut);
          answered += answer.match(/HTTP\/1\.1 200/g)?.length ?? 0;
          answers.push(answer.split(/(?=HTTP\/1\.1 \d{3} )/));
        }
        const [shorter, longer] = answers.sort((a, b) => a.length - b.length) as [string[], string[]];
        if (shorter.length === longer.length) continue;
        // A server may refuse a request before its body has come, which ends the connection: it depends on the moment.
        assert.match(shorter.at(-1) ?? '', /^HTTP\/1\.1 [45].*\r\nConnection: close\r\n/s);
        cutShort.add(String(i));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));

    // nginx writes of a request after it has answered it; once the last is written, all are.
    for (const host of hosts) await send(`GET /last HTTP/1.1\r\nHost: ${host}\r\n\r\n`, null);
    await waitUntil(() => nginx.log().some((entry) => entry.includes(' /last ')), 'the last request');
    const byNode = readByNode.toSorted();
    const byNginx: string[] = [];
    for (const entry of nginx.log()) {
      const [status, ...rest] = entry.split(' ');
      const text = rest.join(' ');
      // A request that the gateway did not make has no such field, or one that the client wrote.
      if (status === '200') assert.equal(rest.at(-1), hosts[1], `nginx read ${entry}`);
      if (status === '200') byNginx.push(text.replaceAll(hosts[1], hosts[0]));
    }
    for (const entry of byNode) assert.equal(entry.endsWith(` ${hosts[0]}`), true, `Node read ${entry}`);
    const known = byNginx.filter((entry) => METHODS.includes(entry.split(' ')[0]!));
    const payloadOf = (entry: string): string => / (?:http:\/\/[^/]*)?\/(\d+)\//.exec(entry)?.[1] ?? '';
    const isWhole = (entry: string): boolean => !cutShort.has(payloadOf(entry));
    assert.deepEqual(known.toSorted().filter(isWhole), byNode.filter(isWhole));
    for (const one of cutShort) {
      const read = [known, readByNode].map((all) => all.filter((entry) => payloadOf(entry) === one));
      const [fewer, more] = read.sort((a, b) => a.length - b.length) as [string[], string[]];
      assert.deepEqual(fewer, more.slice(0, fewer.length), 'up to the cut they are the same');
    }
    assert.ok(cutShort.size < 20, `${cutShort.size} payloads were cut short`);
    // Node refuses methods it does not know; a body that the client did not finish is cut.
    for (const error of nodeErrors) assert.match(error, /^(HPE_INVALID_METHOD|HPE_INVALID_EOF_STATE|ECONNRESET)$/);
    t.diagnostic(`${byNode.length} requests were read by both, ${answered} answers`);
    assert.ok(byNode.length > PAYLOADS / 5, 'the fuzzing gets somewhere');
  });
});
