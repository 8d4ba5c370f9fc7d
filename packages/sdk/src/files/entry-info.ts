// What is known of a file or directory of a sandbox.
import type { EntryInfo as WireEntry, FileType as WireFileType } from '@sandport/protocol/filesystem-rpc';
import { SandboxError } from '../errors.ts';

export const FileType = {
  FILE: 'file',
  DIR: 'dir',
  /** A symbolic link that leads nowhere; any other has the type of what it leads to. */
  SYMLINK: 'symlink',
} as const;
export type FileType = (typeof FileType)[keyof typeof FileType];

export interface WriteInfo {
  /** Last part of the path. */
  readonly name: string;
  /** Absent for devices, sockets and FIFOs. */
  readonly type?: FileType;
  /** Absolute. */
  readonly path: string;
  /** What was given as `metadata` when it was written; absent when nothing was. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface EntryInfo extends WriteInfo {
  /** Bytes. */
  readonly size: number;
  /** The nine permission bits. */
  readonly mode: number;
  /** As `ls -l` shows them, such as `-rw-r--r--`. */
  readonly permissions: string;
  readonly owner: string;
  readonly group: string;
  readonly modifiedTime?: Date;
  /** Where a symbolic link leads, resolved. */
  readonly symlinkTarget?: string;
}

const TYPES: Readonly<Record<WireFileType, FileType>> = {
  FILE_TYPE_FILE: FileType.FILE,
  FILE_TYPE_DIRECTORY: FileType.DIR,
  FILE_TYPE_SYMLINK: FileType.SYMLINK,
};

/** Throws a SandboxError when `entry` is none: what an agent sends is input. */
export function toEntryInfo(entry: WireEntry | undefined): EntryInfo {
  if (typeof entry?.name !== 'string' || typeof entry.path !== 'string') {
    throw new SandboxError('the agent did not describe the file');
  }
  const { name, path, type, metadata, modifiedTime, symlinkTarget } = entry;
  return {
    name,
    path,
    ...(type !== undefined && TYPES[type] !== undefined && { type: TYPES[type] }),
    // A zero is absent on the wire, and 64-bit integers are text.
    size: Number(entry.size ?? 0),
    mode: entry.mode ?? 0,
    permissions: entry.permissions ?? '',
    owner: entry.owner ?? '',
    group: entry.group ?? '',
    ...(modifiedTime !== undefined && { modifiedTime: new Date(modifiedTime) }),
    ...(symlinkTarget !== undefined && { symlinkTarget }),
    ...(metadata !== undefined && { metadata }),
  };
}
