// Reads a request to watch a directory, and checks that it can be.
import { stat, statfs } from 'node:fs/promises';
import { type Fields, invalid, optionalBoolean } from '../../connect/message-fields.ts';

export interface WatchWish {
  readonly path: string;
  readonly recursive: boolean;
  readonly includeEntry: boolean;
}

/** Magic numbers of file systems (statfs(2)) where what others do is not noticed: NFS, SMB, CIFS, SMB2, FUSE. */
const NETWORK_FILE_SYSTEMS = new Set([0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546]);

/** @throws ConnectError `invalid_argument`; an Error with the system's code when there is no such path */
export async function readWatchWish(fields: Fields, path: string): Promise<WatchWish> {
  const wish = {
    path,
    recursive: optionalBoolean(fields, 'recursive') ?? false,
    includeEntry: optionalBoolean(fields, 'includeEntry') ?? false,
  };
  if (!(await stat(path)).isDirectory()) throw invalid(`path '${path}' is not a directory`);
  if (!optionalBoolean(fields, 'allowNetworkMounts') && NETWORK_FILE_SYSTEMS.has((await statfs(path)).type)) {
    throw invalid(`'${path}' is on a network file system, which does not tell all that happens: allow it explicitly`);
  }
  return wish;
}
