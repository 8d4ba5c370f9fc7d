// gzip, the one compression of messages. Loaded by the first request that asks for it.
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import type { Compression } from './compression.ts';
import { ConnectError } from './connect-error.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';

export const gzip: Compression = {
  name: 'gzip',
  compress: (bytes) => gzipSync(bytes, { level: constants.Z_BEST_SPEED }),
  decompress(bytes) {
    try {
      // The limit stops the inflation itself: what a bomb would become is never held.
      return gunzipSync(bytes, { maxOutputLength: MAX_MESSAGE_BYTES });
    } catch (cause) {
      const tooLong = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
      if (tooLong) {
        throw new ConnectError('resource_exhausted', `the message is longer than ${MAX_MESSAGE_BYTES} bytes`, {
          cause,
        });
      }
      throw new ConnectError('invalid_argument', 'the message is not valid gzip', { cause });
    }
  },
};
