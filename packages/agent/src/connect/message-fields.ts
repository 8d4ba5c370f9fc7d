// Reads fields of a decoded request. Requests come from anyone, so every field's type is checked here, once.
// In the proto3 JSON mapping null means absent, integers may be strings, and unknown fields are ignored.
import { ConnectError } from './connect-error.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function invalid(message: string): ConnectError {
  return new ConnectError('invalid_argument', message);
}

export function asMessage(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${name} is not an object`);
  return value as Fields;
}

/** The value under a field's camelCase name; its snake_case name is accepted too, as the mapping demands. */
function field(fields: Fields, name: string): unknown {
  if (Object.hasOwn(fields, name)) return fields[name] ?? undefined;
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.hasOwn(fields, snake) ? (fields[snake] ?? undefined) : undefined;
}

export function optionalMessage(fields: Fields, name: string): Fields | undefined {
  const value = field(fields, name);
  return value === undefined ? undefined : asMessage(value, name);
}

export function requiredMessage(fields: Fields, name: string): Fields {
  const value = optionalMessage(fields, name);
  if (value === undefined) throw invalid(`${name} is missing`);
  return value;
}

/** Text that goes to the operating system, where NUL would end it early. */
export function optionalText(fields: Fields, name: string): string | undefined {
  const value = field(fields, name);
  return value === undefined ? undefined : asText(value, name);
}

export function optionalTexts(fields: Fields, name: string): string[] {
  const value = field(fields, name) ?? [];
  if (!Array.isArray(value)) throw invalid(`${name} is not an array`);
  return value.map((item) => asText(item, name));
}

export function optionalTextMap(fields: Fields, name: string): Map<string, string> {
  const message = optionalMessage(fields, name) ?? {};
  return new Map(Object.entries(message).map(([key, value]) => [key, asText(value, `${name}.${key}`)]));
}

export function optionalBoolean(fields: Fields, name: string): boolean | undefined {
  const value = field(fields, name);
  if (value !== undefined && typeof value !== 'boolean') throw invalid(`${name} is not a boolean`);
  return value;
}

export function optionalUint32(fields: Fields, name: string): number | undefined {
  const value = field(fields, name);
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^[0-9]{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 0xffff_ffff) {
    throw invalid(`${name} is not a whole number from 0 to 4294967295`);
  }
  return number;
}

/** Bytes as they come out of any codec: base64 text of either alphabet, or the bytes themselves. */
export function optionalBytes(fields: Fields, name: string): Buffer | undefined {
  const value = field(fields, name);
  if (value === undefined) return undefined;
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw invalid(`${name} is not base64`);
  return Buffer.from(value, 'base64');
}

/** An enum value by its name or its number. */
export function optionalEnum<Name extends string>(
  fields: Fields,
  name: string,
  values: Readonly<Record<Name, number>>,
): Name | undefined {
  const value = field(fields, name);
  if (value === undefined) return undefined;
  for (const [label, number] of Object.entries(values)) {
    if (value === label || value === number) return label as Name;
  }
  throw invalid(`${name} ${JSON.stringify(value).slice(0, 80)} is not one of ${Object.keys(values).join(', ')}`);
}

function asText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(`${name} is not a string`);
  if (value.includes('\0')) throw invalid(`${name} contains a NUL character`);
  return value;
}
