// Reads the header by which a load balancer says for whom it opened a connection
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), version 1 in text and 2 in binary.

import { isIPv4, isIPv6 } from 'node:net';

export interface ProxyHeader {
  /** Its bytes, which do not belong to the connection. */
  readonly length: number;
  /** Undefined where the balancer speaks for itself, as in its health checks. */
  readonly client: AnnouncedClient | undefined;
}

export interface AnnouncedClient {
  readonly address: string;
  /** The port that the client connected to. */
  readonly port: number;
}

const TEXT = Buffer.from('PROXY ');
const BINARY = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Section 2.1: "a 108-byte buffer is always enough". */
const LONGEST_TEXT = 107;
/** Addresses and extensions after the first 16 bytes. */
const LONGEST_BINARY = 4096;

/** @returns 'none' where the bytes begin something else */
export function readProxyHeader(seen: Buffer): ProxyHeader | 'incomplete' | 'none' | 'malformed' {
  for (const [start, read] of [
    [TEXT, readText],
    [BINARY, readBinary],
  ] as const) {
    const common = Math.min(start.length, seen.length);
    if (!start.subarray(0, common).equals(seen.subarray(0, common))) continue;
    return common < start.length ? 'incomplete' : read(seen);
  }
  return 'none';
}

function readText(seen: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const end = seen.subarray(0, LONGEST_TEXT).indexOf('\r\n');
  if (end === -1) return seen.length < LONGEST_TEXT ? 'incomplete' : 'malformed';
  const [, family, address = '', , , portText = ''] = seen.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { length, client: undefined };
  const isRight = family === 'TCP4' ? isIPv4(address) : family === 'TCP6' && isIPv6(address);
  if (!isRight || !/^[0-9]{1,5}$/.test(portText)) return 'malformed';
  return { length, client: { address, port: Number(portText) } };
}

function readBinary(seen: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  if (seen.length < 16) return 'incomplete';
  const command = seen[12]!;
  const family = seen[13]!;
  const rest = seen.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || rest > LONGEST_BINARY) return 'malformed';
  const length = 16 + rest;
  if (seen.length < length) return 'incomplete';
  if (command === 0x20) return { length, client: undefined };
  if (family === 0x11 && rest >= 12) {
    return { length, client: { address: seen.subarray(16, 20).join('.'), port: seen.readUInt16BE(26) } };
  }
  if (family === 0x21 && rest >= 36) {
    const groups = Array.from({ length: 8 }, (_, index) => seen.readUInt16BE(16 + index * 2).toString(16));
    return { length, client: { address: groups.join(':'), port: seen.readUInt16BE(50) } };
  }
  return { length, client: undefined };
}
