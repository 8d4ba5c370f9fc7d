import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RESPONSE_MARGIN, writeResponseHead } from './forward-response.ts';
import { Framing } from './framing.ts';
import { OutBuffer } from './out-buffer.ts';
import { ResponseHead } from './response-head.ts';

function parse(text: string, isHead = false): { result: number; head: ResponseHead } {
  const head = new ResponseHead();
  const buf = Buffer.from(text, 'latin1');
  return { result: head.read(buf, 0, buf.length, isHead), head };
}

function forward(text: string, connection = '', isHead = false): string {
  const { result, head } = parse(text, isHead);
  assert.ok(result > 0, `refused with ${result}`);
  const out = new OutBuffer(1024);
  out.begin(text.length + RESPONSE_MARGIN);
  writeResponseHead(out, head, head.framing === Framing.chunked, connection);
  return out.take().toString('latin1');
}

describe('response head', () => {
  it('finds how the body ends', () => {
    const framing = (text: string, isHead = false) => parse(`${text}\r\n\r\n`, isHead).head.framing;
    assert.equal(framing('HTTP/1.1 200 OK\r\nContent-Length: 3'), Framing.length);
    assert.equal(framing('HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked'), Framing.chunked);
    assert.equal(framing('HTTP/1.1 200 OK'), Framing.close);
    assert.equal(framing('HTTP/1.1 200 OK\r\nContent-Length: 3', true), Framing.none);
    for (const status of [100, 103, 204, 304]) {
      assert.equal(framing(`HTTP/1.1 ${status} X\r\nContent-Length: 3`), Framing.none);
    }
  });

  it('knows whether the connection can be used again', () => {
    const persistent = (text: string) => parse(`${text}\r\nContent-Length: 0\r\n\r\n`).head.persistent;
    assert.equal(persistent('HTTP/1.1 200 OK'), true);
    assert.equal(persistent('HTTP/1.1 200 OK\r\nConnection: Close'), false);
    assert.equal(persistent('HTTP/1.0 200 OK'), false);
    assert.equal(persistent('HTTP/1.0 200 OK\r\nConnection: keep-alive'), true);
    assert.equal(parse('HTTP/1.1 200 OK\r\n\r\n').head.persistent, false);
  });

  const refused: Record<string, string> = {
    'no HTTP': 'SSH-2.0-OpenSSH\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status below 100': 'HTTP/1.1 099 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/2': 'HTTP/2.0 200 OK\r\n\r\n',
    'Content-Length with Transfer-Encoding':
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'two Content-Lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
    'an unknown transfer coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    'a folded line': 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n',
    'lines that end in LF': 'HTTP/1.1 200 OK\nA: b\n\n',
    'NUL in a value': 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n',
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.ok(parse(text).result < 0));
  }

  it('gives any bytes an answer without throwing', () => {
    const piece = fc.constantFrom('HTTP/1.1 ', '200', ' OK', '\r\n', '\r', '\n', 'A: b', 'Content-Length: 5');
    fc.assert(fc.property(fc.array(piece), (pieces) => parse(pieces.join('')).result <= pieces.join('').length));
  });
});

describe('forwarded response head', () => {
  it('keeps what is end-to-end, letter for letter', () => {
    const text = 'HTTP/1.1 418 I am\r\nset-cookie: a\r\nB: 1\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\n';
    assert.equal(forward(text), text);
  });

  it('drops what ends at this hop', () => {
    const text =
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n' +
      'Transfer-Encoding: chunked\r\n\r\n';
    assert.equal(forward(text, 'close'), 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
  });

  it('speaks HTTP/1.1 for a server that speaks HTTP/1.0', () => {
    assert.equal(forward('HTTP/1.0 200 OK\r\nA: b\r\n\r\n'), 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n');
  });

  it('keeps the length of a response to HEAD, and drops that of 204', () => {
    assert.equal(
      forward('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '', true),
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    );
    assert.equal(forward('HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n'), 'HTTP/1.1 204 No\r\n\r\n');
  });
});
