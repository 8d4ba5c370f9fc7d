import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { limits } from '../limits.ts';
import { Parse } from './field-table.ts';
import { isRepeatable, REQUEST_MARGIN, writeRequestHead } from './forward-request.ts';
import { Framing } from './framing.ts';
import { OutBuffer } from './out-buffer.ts';
import { RequestHead } from './request-head.ts';

function parse(text: string): { result: number; head: RequestHead } {
  const head = new RequestHead();
  const buf = Buffer.from(text, 'latin1');
  return { result: head.read(buf, 0, buf.length), head };
}

function forward(text: string, host?: string): string {
  const { result, head } = parse(text);
  assert.ok(result > 0, `refused with ${result}`);
  const out = new OutBuffer(1024);
  out.begin(text.length + REQUEST_MARGIN);
  writeRequestHead(out, head, 'X-Forwarded-For: 192.0.2.1\r\nForwarded: host="', host);
  return out.take().toString('latin1');
}

const FORWARDED = 'X-Forwarded-For: 192.0.2.1\r\nForwarded: host="h"\r\nX-Forwarded-Host: h\r\n\r\n';

describe('request head', () => {
  it('reads what decides about a request', () => {
    const text = 'POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nConnection: close\r\n\r\n';
    const { result, head } = parse(`${text}body`);
    assert.equal(result, text.length);
    assert.equal(head.host, 'h');
    assert.equal(head.path(), '/a?b');
    assert.equal(head.framing, Framing.length);
    assert.equal(head.contentLength, 12);
    assert.equal(head.connection.close, true);
    assert.equal(isRepeatable(head), false);
  });

  const H = 'Host: h\r\n';
  const malformed: Record<string, string> = {
    'no method': ` / HTTP/1.1\r\n${H}\r\n`,
    'a method with an illegal byte': `G(T / HTTP/1.1\r\n${H}\r\n`,
    'two spaces before the target': `GET  / HTTP/1.1\r\n${H}\r\n`,
    'two spaces after the target': `GET /  HTTP/1.1\r\n${H}\r\n`,
    'a tab between method and target': `GET\t/ HTTP/1.1\r\n${H}\r\n`,
    'a target that is no path': `GET a HTTP/1.1\r\n${H}\r\n`,
    'a target with a fragment': `GET /a#b HTTP/1.1\r\n${H}\r\n`,
    'a target with a control character': `GET /\x01 HTTP/1.1\r\n${H}\r\n`,
    'an asterisk for GET': `GET * HTTP/1.1\r\n${H}\r\n`,
    'no version': `GET /\r\n${H}\r\n`,
    'HTTP/2.0': `GET / HTTP/2.0\r\n${H}\r\n`,
    'HTTP/1.2': `GET / HTTP/1.2\r\n${H}\r\n`,
    'HTTP/0.9': `GET / HTTP/0.9\r\n${H}\r\n`,
    'http/1.1 in lower case': `GET / http/1.1\r\n${H}\r\n`,
    'a first line that ends in LF': `GET / HTTP/1.1\n${H}\r\n`,
    'a header line that ends in LF': `GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n`,
    'a bare CR in a value': `GET / HTTP/1.1\r\n${H}A: b\rc\r\n\r\n`,
    'an empty line that is a bare LF': `GET / HTTP/1.1\r\n${H}\n`,
    'NUL in a value': `GET / HTTP/1.1\r\n${H}A: b\0c\r\n\r\n`,
    'DEL in a value': `GET / HTTP/1.1\r\n${H}A: b\x7fc\r\n\r\n`,
    'a control character in a value': `GET / HTTP/1.1\r\n${H}A: b\x0bc\r\n\r\n`,
    'a space before the colon': `GET / HTTP/1.1\r\n${H}A : b\r\n\r\n`,
    'a space inside a name': `GET / HTTP/1.1\r\n${H}A B: c\r\n\r\n`,
    'an empty name': `GET / HTTP/1.1\r\n${H}: c\r\n\r\n`,
    'a line without a colon': `GET / HTTP/1.1\r\n${H}A\r\n\r\n`,
    'a folded line (obs-fold)': `GET / HTTP/1.1\r\n${H}A: b\r\n c\r\n\r\n`,
    'a fold right after the first line': `GET / HTTP/1.1\r\n ${H}\r\n`,
    'no Host': 'GET / HTTP/1.1\r\nA: b\r\n\r\n',
    'no Host in HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
    'two Host lines': `GET / HTTP/1.1\r\n${H}${H}\r\n`,
    'a target that names another host': `GET http://other/ HTTP/1.1\r\n${H}\r\n`,
    'a target with user information': `GET http://me@h/ HTTP/1.1\r\n${H}\r\n`,
    'a target of another scheme': `GET ftp://h/ HTTP/1.1\r\n${H}\r\n`,
    'Content-Length with Transfer-Encoding': `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'Transfer-Encoding with Content-Length': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`,
    'Content-Length 0 with Transfer-Encoding': `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'two equal Content-Lengths': `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    'two Content-Lengths, the first of them 0': `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\nContent-Length: 1\r\n\r\n`,
    'a list of Content-Lengths': `POST / HTTP/1.1\r\n${H}Content-Length: 1, 1\r\n\r\n`,
    'a signed Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length: +1\r\n\r\n`,
    'a hexadecimal Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length: 0x1\r\n\r\n`,
    'an empty Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length:\r\n\r\n`,
    'a tab before a Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length:\t1\r\n\r\n`,
    'a tab after a Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length: 1\t\r\n\r\n`,
    'a tab before chunked': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \tchunked\r\n\r\n`,
    'a tab after chunked': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked \t\r\n\r\n`,
    'a huge Content-Length': `POST / HTTP/1.1\r\n${H}Content-Length: 99999999999999999999\r\n\r\n`,
    'Transfer-Encoding twice': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`,
  };
  for (const [what, text] of Object.entries(malformed)) {
    it(`refuses ${what}`, () => assert.equal(parse(text).result, Parse.malformed));
  }

  const notImplemented: Record<string, string> = {
    CONNECT: 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n',
    'a transfer coding before chunked': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    'an unknown transfer coding': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`,
    'identity as transfer coding': `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity\r\n\r\n`,
  };
  for (const [what, text] of Object.entries(notImplemented)) {
    it(`refuses ${what}`, () => assert.equal(parse(text).result, Parse.notImplemented));
  }

  it('refuses heads beyond its limits', () => {
    const many = 'A: b\r\n'.repeat(limits.headerCount);
    assert.equal(parse(`GET / HTTP/1.1\r\n${H}${many}\r\n`).result, Parse.tooLarge);
    const long = `A: ${'b'.repeat(limits.headBytes)}\r\n`;
    assert.equal(parse(`GET / HTTP/1.1\r\n${H}${long}\r\n`).result, Parse.tooLarge);
    assert.equal(parse(`GET /${'a'.repeat(limits.targetBytes)} HTTP/1.1\r\n${H}\r\n`).result, Parse.uriTooLong);
  });

  it('never reads beyond the bytes that have come', () => {
    const text = `PUT http://h/a?b HTTP/1.1\r\n${H}Content-Length: 7\r\nConnection: keep-alive, x\r\nX: 1 \t\r\n\r\n`;
    for (let length = 1; length < text.length; length++) {
      assert.equal(parse(text.slice(0, length)).result, Parse.incomplete, JSON.stringify(text.slice(0, length)));
    }
    assert.equal(parse(text).result, text.length);
  });

  it('gives any bytes an answer without throwing', () => {
    const piece = fc.constantFrom(
      'GET',
      ' ',
      '/',
      'HTTP/1.1',
      '\r',
      '\n',
      '\r\n',
      ':',
      'Host',
      'h',
      'Content-Length',
      '1',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((pieces) => pieces.join('')),
    );
    fc.assert(fc.property(text, (input) => parse(input).result <= input.length));
  });
});

describe('forwarded request head', () => {
  it('keeps order, case and duplicates of end-to-end headers', () => {
    const lines = 'hOST: h\r\nB: 1\r\na: 2\r\nB: 3\r\nSet-Thing:x\r\n';
    assert.equal(forward(`GET /p HTTP/1.1\r\n${lines}\r\n`), `GET /p HTTP/1.1\r\n${lines}${FORWARDED}`);
  });

  it('drops what ends at this hop, and what the Connection header names', () => {
    const text =
      'GET / HTTP/1.1\r\nConnection: keep-alive, X-Mine, Host\r\nHost: h\r\nKeep-Alive: timeout=5\r\nx-mine: 1\r\n' +
      'Proxy-Connection: close\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: foo\r\nA: b\r\n\r\n';
    assert.equal(forward(text), `GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n${FORWARDED}`);
  });

  it('drops what only the gateway may say, and the traffic token, in every spelling', () => {
    const names = ['X-Forwarded-For', 'x-forwarded-host', 'X-FORWARDED-PROTO', 'X-Forwarded-Port', 'Forwarded'];
    const odd = ['X_Forwarded_For', 'x-forwarded_host', 'e2b_traffic_access_token', 'E2B-Traffic-Access-Token'];
    const lines = [...names, ...odd].map((name) => `${name}: lie\r\n`).join('');
    assert.equal(forward(`GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`), `GET / HTTP/1.1\r\nHost: h\r\n${FORWARDED}`);
  });

  it('drops fields that a lenient server could take for the framing', () => {
    const lines = 'Content_Length: 5\r\nTransfer_Encoding: chunked\r\n';
    assert.equal(forward(`GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`), `GET / HTTP/1.1\r\nHost: h\r\n${FORWARDED}`);
  });

  it('replaces Host where it stands', () => {
    const text = 'GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\nB: 2\r\n\r\n';
    assert.equal(
      forward(text, 'localhost:3000'),
      `GET / HTTP/1.1\r\nA: 1\r\nHost: localhost:3000\r\nB: 2\r\n${FORWARDED}`,
    );
  });

  it('turns absolute-form into origin-form and HTTP/1.0 into HTTP/1.1', () => {
    assert.equal(
      forward('GET http://H/a?b HTTP/1.1\r\nHost: h\r\n\r\n'),
      `GET /a?b HTTP/1.1\r\nHost: h\r\n${FORWARDED}`,
    );
    assert.equal(forward('GET http://h HTTP/1.1\r\nHost: h\r\n\r\n'), `GET / HTTP/1.1\r\nHost: h\r\n${FORWARDED}`);
    assert.equal(forward('GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n'), `GET /?b HTTP/1.1\r\nHost: h\r\n${FORWARDED}`);
    assert.equal(forward('GET /a HTTP/1.0\r\nHost: h\r\n\r\n'), `GET /a HTTP/1.1\r\nHost: h\r\n${FORWARDED}`);
  });

  it('passes an upgrade on, but none to HTTP/2', () => {
    const upgrade = (to: string) => `GET / HTTP/1.1\r\nHost: h\r\nUpgrade: ${to}\r\nConnection: Upgrade\r\n\r\n`;
    assert.match(forward(upgrade('websocket')), /Upgrade: websocket\r\nConnection: Upgrade\r\n/);
    assert.doesNotMatch(forward(upgrade('h2c')), /Upgrade/);
  });

  it('repeats `TE: trailers`', () => {
    assert.match(
      forward('GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n'),
      /\r\nTE: trailers\r\n/,
    );
  });
});
