// Our codec against the one that the official client's own messages are made with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { filesystemMessages } from '@sandport/protocol/filesystem-messages';
import { type Field, type MessageTable, TIMESTAMP } from '@sandport/protocol/message-table';
import { processMessages } from '@sandport/protocol/process-messages';
import { e2bDescriptors } from '@sandport/protocol/testing/e2b-descriptors';
import fc from 'fast-check';
import { jsonCodec } from '../codec.ts';
import { ConnectError } from '../connect-error.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';

const tables: Record<string, MessageTable> = { process: processMessages, filesystem: filesystemMessages };
const messages = Object.entries(tables).flatMap(([packageName, table]) => {
  const registry = createRegistry(e2bDescriptors().get(packageName)!);
  return Object.keys(table.messages).map((name) => {
    const description = registry.getMessage(`${packageName}.${name}`);
    if (description === undefined) throw new Error(`the client has no ${packageName}.${name}`);
    return { table, name, description, form: messageArbitrary(table, name) };
  });
});

test('what we encode, the client decodes to what JSON says', () => {
  for (const { table, name, description, form } of messages) {
    fc.assert(
      fc.property(form, (message) => {
        const binary = fromBinary(description, encodeMessage(table, name, message));
        assert.deepEqual(toJson(description, binary), canonical(description, message), name);
      }),
      { numRuns: 40 },
    );
  }
});

test('what the client encodes, we decode to what JSON says', () => {
  for (const { table, name, description, form } of messages.filter(({ name }) => name.endsWith('Request'))) {
    fc.assert(
      fc.property(form, (message) => {
        const binary = toBinary(description, fromJson(description, asJson(message)));
        const decoded = fromJson(description, asJson(decodeMessage(table, name, binary)));
        assert.deepEqual(toJson(description, decoded), canonical(description, message), name);
      }),
      { numRuns: 40 },
    );
  }
});

test('bytes of any kind are a message or an invalid argument, nothing else', () => {
  const requests = messages.filter(({ name }) => name.endsWith('Request'));
  fc.assert(
    fc.property(fc.constantFrom(...requests), fc.uint8Array({ maxLength: 200 }), ({ table, name }, bytes) => {
      mustDecodeOrRefuse(table, name, bytes);
    }),
    { numRuns: 3000 },
  );
  // Valid messages with one byte changed, and cut short at each length, get deeper than noise does.
  for (const { table, name, description, form } of requests) {
    fc.assert(
      fc.property(form, fc.nat(), fc.nat(255), (message, at, byte) => {
        const bytes = toBinary(description, fromJson(description, asJson(message)));
        if (bytes.length === 0) return;
        const changed = Uint8Array.from(bytes);
        changed[at % bytes.length] = byte;
        mustDecodeOrRefuse(table, name, changed);
        for (let length = 0; length < Math.min(bytes.length, 60); length++) {
          mustDecodeOrRefuse(table, name, bytes.subarray(0, length));
        }
      }),
      { numRuns: 60 },
    );
  }
});

test('fields that are not known are passed over, whatever their form', () => {
  const known = [0x0a, 0x03, 0x0a, 0x01, 0x78]; // process { cmd: "x" }
  for (const [form, bytes] of Object.entries({
    varint: [0xf8, 0x07, 0x96, 0x01],
    fixed64: [0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
    bytes: [0xfa, 0x07, 0x02, 0xff, 0xff],
    group: [0xfb, 0x07, 0xfb, 0x07, 0x08, 0x01, 0xfc, 0x07, 0xfc, 0x07],
    fixed32: [0xfd, 0x07, 1, 2, 3, 4],
    'another form of a known field': [0x18, 0x05],
  })) {
    const decoded = decodeMessage(processMessages, 'StartRequest', Uint8Array.from([...bytes, ...known, ...bytes]));
    assert.deepEqual(decoded, { process: { cmd: 'x' } }, form);
  }
});

test('a message in pieces is one message, and of a oneof the last is taken', () => {
  const pieces = [0x0a, 0x03, 0x0a, 0x01, 0x78, 0x0a, 0x03, 0x22, 0x01, 0x79];
  assert.deepEqual(decodeMessage(processMessages, 'StartRequest', Uint8Array.from(pieces)), {
    process: { cmd: 'x', cwd: 'y' },
  });
  const both = [0x0a, 0x05, 0x08, 0x07, 0x12, 0x01, 0x74];
  assert.deepEqual(decodeMessage(processMessages, 'ConnectRequest', Uint8Array.from(both)), { process: { tag: 't' } });
});

test('a name in a map that means something to JavaScript is a name', () => {
  const entry = Buffer.from('\n\t__proto__\x12\x01a');
  const binary = Buffer.concat([Buffer.from([0x0a, entry.length + 2, 0x1a, entry.length]), entry]);
  const { process } = decodeMessage(processMessages, 'StartRequest', binary) as { process: { envs: object } };
  assert.deepEqual(Object.entries(process.envs), [['__proto__', 'a']]);
});

test('groups without end and messages of too many fields are refused', () => {
  const groups = Uint8Array.from({ length: 100_000 }, () => 0x0b);
  assert.equal(refusal('StartRequest', groups), 'invalid_argument');
  const args = Buffer.alloc(1_000_000, Buffer.from([0x12, 0x00]));
  const start = Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), args]);
  assert.equal(refusal('StartRequest', start), 'resource_exhausted');
});

function refusal(name: string, bytes: Uint8Array): string | undefined {
  try {
    decodeMessage(processMessages, name, bytes);
    return undefined;
  } catch (error) {
    return error instanceof ConnectError ? error.code : String(error);
  }
}

function mustDecodeOrRefuse(table: MessageTable, name: string, bytes: Uint8Array): void {
  try {
    decodeMessage(table, name, bytes);
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    assert.equal(error.code, 'invalid_argument');
  }
}

/** The message in the form in which it goes over the wire as JSON. */
function asJson(message: object): JsonValue {
  return JSON.parse(jsonCodec.encode(message).toString()) as JsonValue;
}

/** As the client writes it: without the zero values that need not be there. */
function canonical(description: DescMessage, message: object): JsonValue {
  return toJson(description, fromJson(description, asJson(message)));
}

/** Messages as the services read and write them. */
function messageArbitrary(table: MessageTable, name: string): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(table.messages[name]!);
  const single = fields.filter(([, field]) => field[2] !== 'oneof');
  const group = fields.filter(([, field]) => field[2] === 'oneof');
  const record = fc.record(Object.fromEntries(single.map(([key, field]) => [key, fieldArbitrary(table, field)])), {
    requiredKeys: [],
  });
  if (group.length === 0) return record;
  const one = fc.oneof(
    fc.constant({}),
    ...group.map(([key, field]) => fieldArbitrary(table, field).map((value) => ({ [key]: value }))),
  );
  return fc.tuple(record, one).map(([rest, chosen]) => ({ ...rest, ...chosen }));
}

function fieldArbitrary(table: MessageTable, [, type, label]: Field): fc.Arbitrary<unknown> {
  const value = valueArbitrary(table, type);
  if (label === 'repeated') return fc.array(value, { maxLength: 5 });
  if (label === 'map') return fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string(), { maxKeys: 5 });
  return value;
}

function valueArbitrary(table: MessageTable, type: string): fc.Arbitrary<unknown> {
  const names = table.enums[type];
  if (names !== undefined) return fc.constantFrom(...Object.keys(names));
  switch (type) {
    case 'string':
      return fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('x'.repeat(200)), fc.constant('\ufeffmark'));
    case 'bytes':
      return fc
        .oneof(fc.uint8Array(), fc.uint8Array({ minLength: 120, maxLength: 300 }))
        .map((bytes) => Buffer.from(bytes));
    case 'bool':
      return fc.boolean();
    case 'uint32':
      return fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff }));
    case 'sint32':
      return fc.oneof(fc.integer({ min: -130, max: 130 }), fc.integer());
    case 'int64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
    case TIMESTAMP:
      return fc
        .date({ min: new Date('1900-01-01'), max: new Date('2200-01-01'), noInvalidDate: true })
        .map((date) => date.toISOString());
    default:
      return messageArbitrary(table, type);
  }
}
