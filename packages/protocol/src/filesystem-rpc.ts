// Messages of the agent's filesystem service, in the JSON form in which they travel (proto3 JSON mapping):
// zero values are absent, 64-bit integers are strings, a time is RFC 3339 text, a oneof is the one field present.

export const FILESYSTEM_SERVICE = 'filesystem.Filesystem';

/** A device, a socket or a FIFO has none of these and its `type` is absent. */
export type FileType = 'FILE_TYPE_FILE' | 'FILE_TYPE_DIRECTORY' | 'FILE_TYPE_SYMLINK';

export interface EntryInfo {
  readonly name: string;
  /** Of a symbolic link, the type of what it leads to; FILE_TYPE_SYMLINK when it leads nowhere. */
  readonly type?: FileType;
  readonly path: string;
  /** Bytes, as decimal digits. */
  readonly size?: string;
  /** The nine permission bits; of a symbolic link those of what it leads to. */
  readonly mode?: number;
  /** As in `-rw-r--r--`. */
  readonly permissions: string;
  /** A name, or the number of one that the sandbox does not know. */
  readonly owner: string;
  readonly group: string;
  readonly modifiedTime: string;
  /** Where a symbolic link leads, resolved. */
  readonly symlinkTarget?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Request of Stat, MakeDir and Remove. */
export interface PathRequest {
  readonly path: string;
}

export interface MoveRequest {
  readonly source: string;
  readonly destination: string;
}

export interface ListDirRequest {
  readonly path: string;
  /** How many levels; 0 or absent means 1. */
  readonly depth?: number;
}

/** Answer of Stat, MakeDir and Move. */
export interface EntryResponse {
  readonly entry: EntryInfo;
}

export interface ListDirResponse {
  readonly entries?: readonly EntryInfo[];
}

export type EventType =
  | 'EVENT_TYPE_CREATE'
  | 'EVENT_TYPE_WRITE'
  | 'EVENT_TYPE_REMOVE'
  | 'EVENT_TYPE_RENAME'
  | 'EVENT_TYPE_CHMOD';

export interface FilesystemEvent {
  /** Relative to the watched directory. */
  readonly name: string;
  readonly type: EventType;
  /** When it was asked for and the event leaves something behind. */
  readonly entry?: EntryInfo;
}

/** Request of WatchDir and CreateWatcher. */
export interface WatchRequest {
  readonly path: string;
  /** Whether directories below are watched too, also those made later. */
  readonly recursive?: boolean;
  readonly includeEntry?: boolean;
  /** Whether a directory on a network file system may be watched, where what others do is not noticed. */
  readonly allowNetworkMounts?: boolean;
}

/** A message of the stream of WatchDir; the first one is `start`. */
export type WatchStreamMessage =
  | { readonly start: object }
  | { readonly filesystem: FilesystemEvent }
  | { readonly keepalive: object };

export interface WatcherAnswer {
  readonly watcherId: string;
}

/** Request of GetWatcherEvents and RemoveWatcher. */
export interface WatcherRequest {
  readonly watcherId: string;
}

export interface WatcherEventsResponse {
  readonly events?: readonly FilesystemEvent[];
}
