// As much of DNS messages (RFC 1035, section 4) as a forwarding resolver has to read. Input is hostile: every read is
// bounded by the message, and a name is followed only backwards.
import { toDotted } from '../egress/address-ranges.ts';

export const HEADER_LENGTH = 12;
export const Type = { a: 1, cname: 5, soa: 6, aaaa: 28, opt: 41, svcb: 64, https: 65, any: 255 } as const;
export const Code = { formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;

const CLASS_IN = 1;
const MAX_NAME = 255;
const MAX_RECORDS = 200;

export interface Question {
  /** In lower case, without the root's dot. */
  readonly name: string;
  readonly type: number;
  /** Where the question section ends. */
  readonly end: number;
  /** Bytes of UDP that the asker takes. */
  readonly udpSize: number;
  readonly hasOpt: boolean;
}

export interface Answer {
  /** IPv4 addresses of the answer section. */
  readonly addresses: readonly string[];
  /** Seconds for which all of it holds; 0 when nothing says so. */
  readonly ttl: number;
  /** Where the time to live of each record stands. */
  readonly ttlOffsets: readonly number[];
  /** Where the additional section begins. */
  readonly additional: number;
  readonly code: number;
  readonly truncated: boolean;
}

/** Undefined for what is no query with one question about the internet class. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER_LENGTH || (message[2]! & 0xf8) !== 0) return undefined;
  if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0 || message.readUInt16BE(8) !== 0) return undefined;
  const labels: string[] = [];
  let pos = HEADER_LENGTH;
  for (;;) {
    const length = message[pos];
    if (length === undefined || length > 63) return undefined;
    pos++;
    if (length === 0) break;
    if (pos + length > message.length || pos - HEADER_LENGTH + length > MAX_NAME) return undefined;
    const label = message.toString('latin1', pos, pos + length);
    // A dot within a label would make two names look the same.
    if (!/^[\x21-\x2d\x2f-\x7e]+$/.test(label)) return undefined;
    labels.push(label.toLowerCase());
    pos += length;
  }
  if (pos + 4 > message.length || message.readUInt16BE(pos + 2) !== CLASS_IN) return undefined;
  const end = pos + 4;
  const hasOpt = message.readUInt16BE(10) > 0 && message[end] === 0 && message.length >= end + 11;
  const isOpt = hasOpt && message.readUInt16BE(end + 1) === Type.opt;
  return {
    name: labels.join('.'),
    type: message.readUInt16BE(pos),
    end,
    udpSize: isOpt ? Math.max(512, message.readUInt16BE(end + 3)) : 512,
    hasOpt: isOpt,
  };
}

/** Undefined when it is not a well-formed answer to the question. */
export function readAnswer(message: Buffer, question: Buffer): Answer | undefined {
  const end = question.length;
  if (message.length < end || (message[2]! & 0x80) === 0 || message.readUInt16BE(4) !== 1) return undefined;
  if (message.toString('latin1', HEADER_LENGTH, end).toLowerCase() !== nameBytes(question)) return undefined;
  const truncated = (message[2]! & 0x02) !== 0;
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8)] as const;
  if (counts[0] + counts[1] > MAX_RECORDS) return undefined;
  const addresses: string[] = [];
  const ttlOffsets: number[] = [];
  let ttl = Number.POSITIVE_INFINITY;
  let pos = end;
  for (let index = 0; index < counts[0] + counts[1]; index++) {
    const fixed = skipName(message, pos);
    if (fixed === undefined || fixed + 10 > message.length) return truncated ? cut() : undefined;
    const type = message.readUInt16BE(fixed);
    const length = message.readUInt16BE(fixed + 8);
    const data = fixed + 10;
    if (data + length > message.length) return truncated ? cut() : undefined;
    ttlOffsets.push(fixed + 4);
    ttl = Math.min(ttl, message.readUInt32BE(fixed + 4) & 0x7fffffff);
    if (index < counts[0] && type === Type.a && length === 4) addresses.push(toDotted(message.readUInt32BE(data)));
    pos = data + length;
  }
  return {
    addresses,
    ttl: Number.isFinite(ttl) ? ttl : 0,
    ttlOffsets,
    additional: pos,
    code: message[3]! & 0x0f,
    truncated,
  };

  function cut(): Answer {
    return { addresses: [], ttl: 0, ttlOffsets: [], additional: end, code: message[3]! & 0x0f, truncated: true };
  }
}

/** Header and question, with recursion desired and an OPT record that asks for answers of up to 1232 bytes. */
export function buildQuery(id: number, name: string, type: number): { query: Buffer; question: Buffer } {
  const header = Buffer.from([id >> 8, id & 255, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  const labels = name === '' ? [] : name.split('.');
  const encoded = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  const question = Buffer.concat([header, ...encoded, Buffer.from([0, type >> 8, type & 255, 0, CLASS_IN])]);
  return { query: Buffer.concat([question, OPT]), question };
}

/** RFC 6891, section 6.1.2: the root's name, type 41, 1232 bytes, no flags, no data. */
export const OPT = Buffer.from([0, 0, Type.opt, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);

function nameBytes(question: Buffer): string {
  return question.toString('latin1', HEADER_LENGTH).toLowerCase();
}

/** After the name at `pos`, without following where it points. */
function skipName(message: Buffer, start: number): number | undefined {
  let pos = start;
  for (;;) {
    const length = message[pos];
    if (length === undefined) return undefined;
    if (length === 0) return pos + 1;
    if ((length & 0xc0) === 0xc0) return pos + 2;
    if (length > 63) return undefined;
    pos += 1 + length;
  }
}
