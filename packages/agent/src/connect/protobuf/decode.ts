// From protobuf bytes to the form that the services read: fields by camelCase name, bytes as Buffers, enums as numbers.
import type { Field, MessageTable } from '@sandport/protocol/message-table';
import { ConnectError } from '../connect-error.ts';
import { MAX_MESSAGE_PARTS } from '../limits.ts';
import { LENGTH_DELIMITED, VARINT, WireReader } from './wire-reader.ts';

type Message = Record<string, unknown>;

/** @throws ConnectError `invalid_argument` on bytes that are no message, `resource_exhausted` on too many fields */
export function decodeMessage(table: MessageTable, name: string, bytes: Uint8Array): Message {
  return new Decoder(table).message(name, bytes, {});
}

class Decoder {
  readonly #table: MessageTable;
  #parts = 0;

  constructor(table: MessageTable) {
    this.#table = table;
  }

  /** Reads into `target`: a message that comes in several pieces is one message. */
  message(name: string, bytes: Uint8Array, target: Message): Message {
    const fields = Object.entries(this.#table.messages[name]!);
    const reader = new WireReader(bytes);
    while (!reader.done) {
      if (++this.#parts > MAX_MESSAGE_PARTS) {
        throw new ConnectError('resource_exhausted', `the message has more than ${MAX_MESSAGE_PARTS} parts`);
      }
      const tag = reader.tag();
      const known = fields.find(([, [number]]) => number === tag.number);
      if (known === undefined || tag.type !== this.#wireType(known[1])) reader.skip(tag);
      else this.#field(reader, known, fields, target);
    }
    return target;
  }

  #wireType([, type]: Field): number {
    return type === 'string' || type === 'bytes' || type in this.#table.messages ? LENGTH_DELIMITED : VARINT;
  }

  #field(reader: WireReader, [name, field]: [string, Field], all: [string, Field][], target: Message): void {
    const [, type, label] = field;
    if (label === 'map') {
      target[name] ??= Object.create(null);
      const entry = this.#entry(reader.bytes());
      (target[name] as Record<string, string>)[entry.key] = entry.value;
    } else if (label === 'repeated') {
      target[name] ??= [];
      (target[name] as unknown[]).push(this.#value(reader, type, undefined));
    } else {
      if (label === 'oneof') for (const [other, [, , group]] of all) if (group && other !== name) delete target[other];
      target[name] = this.#value(reader, type, target[name]);
    }
  }

  #value(reader: WireReader, type: string, before: unknown): unknown {
    if (type === 'string') return reader.text();
    if (type === 'bytes') return asBuffer(reader.bytes());
    if (type === 'bool') return reader.bool();
    if (type === 'uint32') return reader.uint32();
    if (type in this.#table.enums) return reader.uint32() | 0;
    return this.message(type, reader.bytes(), (before as Message | undefined) ?? {});
  }

  /** An entry of a map is a message of its own; both of its fields may be absent. */
  #entry(bytes: Uint8Array): { readonly key: string; readonly value: string } {
    const entry = { key: '', value: '' };
    const reader = new WireReader(bytes);
    while (!reader.done) {
      const tag = reader.tag();
      if (tag.type === LENGTH_DELIMITED && tag.number === 1) entry.key = reader.text();
      else if (tag.type === LENGTH_DELIMITED && tag.number === 2) entry.value = reader.text();
      else reader.skip(tag);
    }
    return entry;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
