// proto/ports.proto as a table.
import type { MessageTable } from './message-table.ts';

export const portsMessages: MessageTable = {
  messages: {
    Port: {
      port: [1, 'uint32'],
      addresses: [2, 'string', 'repeated'],
      loopbackOnly: [3, 'bool'],
      pid: [4, 'uint32'],
      program: [5, 'string'],
    },
    ListRequest: {},
    ListResponse: { ports: [1, 'Port', 'repeated'] },
    WatchRequest: {},
    WatchResponse: {
      start: [1, 'WatchResponse.StartEvent', 'oneof'],
      opened: [2, 'Port', 'oneof'],
      closed: [3, 'Port', 'oneof'],
      keepalive: [4, 'WatchResponse.KeepAlive', 'oneof'],
    },
    'WatchResponse.StartEvent': { ports: [1, 'Port', 'repeated'] },
    'WatchResponse.KeepAlive': {},
  },
  enums: {},
};
