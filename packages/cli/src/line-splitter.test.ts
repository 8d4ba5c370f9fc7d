import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter } from './line-splitter.ts';

test('lines come whole, wherever the bytes are cut', () => {
  const bytes = Buffer.from('ünï\n\nlast\nhalf');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const splitter = new LineSplitter();
    const lines = [...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))];
    assert.deepEqual(lines, ['ünï', '', 'last']);
    assert.deepEqual(splitter.push(Buffer.from(' done\n')), ['half done']);
  }
});
