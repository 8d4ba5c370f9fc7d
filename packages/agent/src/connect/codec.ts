// How messages become bytes. Inside the agent a bytes field is a Uint8Array; each codec gives it its own form.
import {
  PROTO_STREAM_CONTENT_TYPE,
  PROTO_UNARY_CONTENT_TYPE,
  STREAM_CONTENT_TYPE,
  UNARY_CONTENT_TYPE,
} from '@sandport/protocol/connect';
import { ConnectError } from './connect-error.ts';
import { checkJsonBounds } from './json-bounds.ts';
import type { MethodName } from './method.ts';

export interface Codec {
  readonly unaryType: string;
  readonly streamType: string;
  /** @throws ConnectError `invalid_argument` on bytes that are no message, `resource_exhausted` on one of too many parts */
  decode(bytes: Buffer): unknown;
  encode(message: unknown): Buffer;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The proto3 JSON mapping: bytes are standard base64. */
export const jsonCodec: Codec = {
  unaryType: UNARY_CONTENT_TYPE,
  streamType: STREAM_CONTENT_TYPE,
  decode(bytes) {
    // An empty body is an empty message (the clients' generated code allows it).
    if (bytes.length === 0) return {};
    checkJsonBounds(bytes);
    try {
      return JSON.parse(utf8.decode(bytes));
    } catch (cause) {
      throw new ConnectError('invalid_argument', 'the message is not valid JSON', { cause });
    }
  },
  encode(message) {
    return Buffer.from(JSON.stringify(jsonForm(message)));
  },
};

/**
 * A message whose bytes are text already. JSON.stringify would first ask each Buffer for its toJSON, an array with every
 * byte as a number, which takes far more than all else that is done to the output of a command.
 */
function jsonForm(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) return value.map(jsonForm);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, jsonForm(field)]));
}

/** The codec of a request's Content-Type for this kind of method; undefined means 415. */
export async function codecFor(
  contentType: string | undefined,
  stream: boolean,
  name: MethodName,
): Promise<Codec | undefined> {
  const semicolon = contentType?.indexOf(';') ?? -1;
  const type = (semicolon === -1 ? contentType : contentType?.slice(0, semicolon))?.trim().toLowerCase();
  const [json, protobuf] = contentTypes(stream);
  if (type === json) return jsonCodec;
  if (type !== protobuf) return undefined;
  return (await import('./protobuf/protobuf-codec.ts')).protobufCodec(name);
}

/** What a 415 answer names in `Accept-Post`. */
export function acceptedTypes(stream: boolean): string {
  return contentTypes(stream).join(', ');
}

function contentTypes(stream: boolean): [json: string, protobuf: string] {
  return stream ? [STREAM_CONTENT_TYPE, PROTO_STREAM_CONTENT_TYPE] : [UNARY_CONTENT_TYPE, PROTO_UNARY_CONTENT_TYPE];
}
