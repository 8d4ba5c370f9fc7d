// From the form in which the services answer to protobuf bytes. What is absent is not written.
import { type Field, type MessageTable, TIMESTAMP } from '@sandport/protocol/message-table';
import { WireWriter } from './wire-writer.ts';

export function encodeMessage(table: MessageTable, name: string, message: object): Buffer {
  const writer = new WireWriter();
  writeMessage(writer, table, name, message);
  return writer.finish();
}

function writeMessage(writer: WireWriter, table: MessageTable, name: string, message: object): void {
  for (const [key, field] of Object.entries(table.messages[name]!)) {
    const value: unknown = (message as Record<string, unknown>)[key];
    if (value !== undefined && value !== null) writeField(writer, table, field, value);
  }
}

function writeField(writer: WireWriter, table: MessageTable, field: Field, value: unknown): void {
  const [number, type, label] = field;
  if (label === 'repeated') {
    for (const item of value as unknown[]) writeValue(writer, table, number, type, item);
  } else if (label === 'map') {
    for (const [key, text] of Object.entries(value as Record<string, string>)) {
      writer.nested(number, () => {
        writer.text(1, key);
        writer.text(2, text);
      });
    }
  } else {
    writeValue(writer, table, number, type, value);
  }
}

function writeValue(writer: WireWriter, table: MessageTable, number: number, type: string, value: unknown): void {
  const names = table.enums[type];
  if (type === 'string') writer.text(number, value as string);
  else if (type === 'bytes') writer.bytes(number, value as Uint8Array);
  else if (type === 'bool') writer.number(number, value === true ? 1 : 0);
  else if (type === 'uint32') writer.number(number, value as number);
  else if (type === 'sint32') writer.number(number, zigzag(value as number));
  else if (type === 'int64') writer.number(number, BigInt.asUintN(64, BigInt(value as string)));
  else if (type === TIMESTAMP) writer.nested(number, () => writeTimestamp(writer, value as string));
  else if (names !== undefined) writer.number(number, names[value as string] ?? 0);
  else writer.nested(number, () => writeMessage(writer, table, type, value as object));
}

/** Small negative numbers become small positive ones. */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

/** Seconds since 1970 and nanoseconds, from RFC 3339 text. */
function writeTimestamp(writer: WireWriter, text: string): void {
  const fraction = /\.([0-9]{1,9})/.exec(text)?.[1] ?? '';
  const seconds = Date.parse(text.replace(`.${fraction}`, '')) / 1000;
  writer.number(1, BigInt.asUintN(64, BigInt(seconds)));
  writer.number(2, Number(fraction.padEnd(9, '0')));
}
