// The binary form of messages. Loaded by the first request that speaks it: the e2b clients speak JSON.
import { PROTO_STREAM_CONTENT_TYPE, PROTO_UNARY_CONTENT_TYPE } from '@sandport/protocol/connect';
import { filesystemMessages } from '@sandport/protocol/filesystem-messages';
import { FILESYSTEM_SERVICE } from '@sandport/protocol/filesystem-rpc';
import type { MessageTable } from '@sandport/protocol/message-table';
import { portsMessages } from '@sandport/protocol/ports-messages';
import { PORTS_SERVICE } from '@sandport/protocol/ports-rpc';
import { processMessages } from '@sandport/protocol/process-messages';
import { PROCESS_SERVICE } from '@sandport/protocol/process-rpc';
import type { Codec } from '../codec.ts';
import type { MethodName } from '../method.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';

const tables: Readonly<Record<string, MessageTable>> = {
  [PROCESS_SERVICE]: processMessages,
  [FILESYSTEM_SERVICE]: filesystemMessages,
  [PORTS_SERVICE]: portsMessages,
};

/** The messages of method `X` are `XRequest` and `XResponse`. */
export function protobufCodec({ service, method }: MethodName): Codec {
  const table = tables[service];
  if (table === undefined) throw new Error(`no message table for ${service}`);
  return {
    unaryType: PROTO_UNARY_CONTENT_TYPE,
    streamType: PROTO_STREAM_CONTENT_TYPE,
    decode: (bytes) => decodeMessage(table, `${method}Request`, bytes),
    encode: (message) => encodeMessage(table, `${method}Response`, message as object),
  };
}
