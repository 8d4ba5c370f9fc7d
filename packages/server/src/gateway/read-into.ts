// Reads an accepted socket into a buffer of ours, as `onread` of `net.connect` does for a socket that connects: it saves
// 64 KiB of new memory for every read. For accepted sockets Node has no such option, but the same machinery, which is
// reached by its names; where they are not found, the socket brings its data in events as usual.

import { Socket } from 'node:net';

export interface Reader {
  /** `buf` holds what was read in its first `length` bytes, during the call only. */
  read(length: number, buf: Buffer): void;
  /** The buffer for the next read; undefined: the same as before. */
  next(): Buffer | undefined;
}

interface Internals {
  [symbol: symbol]: unknown;
  readonly _handle?: { useUserBuffer?(buffer: Buffer): void };
}

const symbols = new Map(Object.getOwnPropertySymbols(new Socket()).map((symbol) => [symbol.description, symbol]));
const kBuffer = symbols.get('kBuffer');
const kBufferCb = symbols.get('kBufferCb');
const kBufferGen = symbols.get('kBufferGen');

/** @returns whether `reader` gets the bytes; if not, listen for `data` */
export function readInto(socket: Socket, first: Buffer, reader: Reader): boolean {
  const internals = socket as unknown as Internals;
  const handle = internals._handle;
  if (kBuffer === undefined || kBufferCb === undefined || kBufferGen === undefined) return false;
  if (typeof handle?.useUserBuffer !== 'function' || socket.readableLength > 0) return false;
  internals[kBuffer] = first;
  internals[kBufferCb] = (length: number, buf: Buffer): void => reader.read(length, buf);
  internals[kBufferGen] = (): Buffer | undefined => reader.next();
  handle.useUserBuffer(first);
  return true;
}
