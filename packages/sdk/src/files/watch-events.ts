// What happens in a watched directory.
import type { EntryInfo as WireEntry } from '@sandport/protocol/filesystem-rpc';
import { type EntryInfo, toEntryInfo } from './entry-info.ts';

export const FilesystemEventType = {
  CHMOD: 'chmod',
  CREATE: 'create',
  REMOVE: 'remove',
  RENAME: 'rename',
  WRITE: 'write',
} as const;
export type FilesystemEventType = (typeof FilesystemEventType)[keyof typeof FilesystemEventType];

export interface FilesystemEvent {
  /** Relative to the watched directory. */
  readonly name: string;
  readonly type: FilesystemEventType;
  /** With `includeEntry`, what the event happened to, unless it is gone. */
  readonly entry?: EntryInfo;
}

const TYPES: Readonly<Record<string, FilesystemEventType>> = {
  EVENT_TYPE_CHMOD: FilesystemEventType.CHMOD,
  EVENT_TYPE_CREATE: FilesystemEventType.CREATE,
  EVENT_TYPE_REMOVE: FilesystemEventType.REMOVE,
  EVENT_TYPE_RENAME: FilesystemEventType.RENAME,
  EVENT_TYPE_WRITE: FilesystemEventType.WRITE,
};

/** A message of the stream of WatchDir: one of these, or a keep-alive. */
export interface WatchMessage {
  readonly start?: object;
  readonly filesystem?: { readonly name: string; readonly type: string; readonly entry?: WireEntry };
}

/** Undefined when `message` is no event, or one that is newer than this client. */
export function readWatchEvent({ filesystem }: WatchMessage): FilesystemEvent | undefined {
  const type = filesystem && TYPES[filesystem.type];
  if (type === undefined) return undefined;
  const { name, entry } = filesystem!;
  return { name, type, ...(entry !== undefined && { entry: toEntryInfo(entry) }) };
}
