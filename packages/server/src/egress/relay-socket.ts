// What a relay uses of a connection: a `net.Socket`, or the lighter one on Node's own handle.

export interface RelaySocket {
  readonly destroyed: boolean;
  /** Whether `end` has been emitted. */
  readonly readableEnded: boolean;
  /** Bytes that are written and have not left the process. */
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  on(event: RelayEvent, listener: () => void): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  once(event: RelayEvent, listener: () => void): unknown;
  off(event: RelayEvent, listener: () => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  /** @param written called when `data` is no longer needed */
  write(data: Buffer | string, written?: () => void): boolean;
  end(): unknown;
  destroy(): unknown;
  resetAndDestroy(): unknown;
}

type RelayEvent = 'end' | 'close' | 'error' | 'drain';
