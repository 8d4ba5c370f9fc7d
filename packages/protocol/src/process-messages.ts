// proto/process.proto as a table.
import type { MessageTable } from './message-table.ts';

export const processMessages: MessageTable = {
  messages: {
    ProcessEvent: {
      start: [1, 'ProcessEvent.StartEvent', 'oneof'],
      data: [2, 'ProcessEvent.DataEvent', 'oneof'],
      end: [3, 'ProcessEvent.EndEvent', 'oneof'],
      keepalive: [4, 'ProcessEvent.KeepAlive', 'oneof'],
    },
    'ProcessEvent.StartEvent': { pid: [1, 'uint32'] },
    'ProcessEvent.DataEvent': {
      stdout: [1, 'bytes', 'oneof'],
      stderr: [2, 'bytes', 'oneof'],
      pty: [3, 'bytes', 'oneof'],
    },
    'ProcessEvent.EndEvent': {
      exitCode: [1, 'sint32'],
      exited: [2, 'bool'],
      status: [3, 'string'],
      error: [4, 'string'],
    },
    'ProcessEvent.KeepAlive': {},
    ProcessConfig: {
      cmd: [1, 'string'],
      args: [2, 'string', 'repeated'],
      envs: [3, 'string', 'map'],
      cwd: [4, 'string'],
    },
    PTY: { size: [1, 'PTY.Size'] },
    'PTY.Size': { cols: [1, 'uint32'], rows: [2, 'uint32'] },
    StartRequest: { process: [1, 'ProcessConfig'], pty: [2, 'PTY'], tag: [3, 'string'], stdin: [4, 'bool'] },
    StartResponse: { event: [1, 'ProcessEvent'] },
    ProcessSelector: { pid: [1, 'uint32', 'oneof'], tag: [2, 'string', 'oneof'] },
    ConnectRequest: { process: [1, 'ProcessSelector'] },
    ConnectResponse: { event: [1, 'ProcessEvent'] },
    ListRequest: {},
    ProcessInfo: { config: [1, 'ProcessConfig'], pid: [2, 'uint32'], tag: [3, 'string'] },
    ListResponse: { processes: [1, 'ProcessInfo', 'repeated'] },
    ProcessInput: { stdin: [1, 'bytes', 'oneof'], pty: [2, 'bytes', 'oneof'] },
    SendInputRequest: { process: [1, 'ProcessSelector'], input: [2, 'ProcessInput'] },
    SendInputResponse: {},
    StreamInputRequest: {
      start: [1, 'StreamInputRequest.StartEvent', 'oneof'],
      data: [2, 'StreamInputRequest.DataEvent', 'oneof'],
      keepalive: [3, 'StreamInputRequest.KeepAlive', 'oneof'],
    },
    'StreamInputRequest.StartEvent': { process: [1, 'ProcessSelector'] },
    'StreamInputRequest.DataEvent': { input: [2, 'ProcessInput'] },
    'StreamInputRequest.KeepAlive': {},
    StreamInputResponse: {},
    CloseStdinRequest: { process: [1, 'ProcessSelector'] },
    CloseStdinResponse: {},
    SendSignalRequest: { process: [1, 'ProcessSelector'], signal: [2, 'Signal'] },
    SendSignalResponse: {},
    UpdateRequest: { process: [1, 'ProcessSelector'], pty: [2, 'PTY'] },
    UpdateResponse: {},
  },
  enums: {
    Signal: { SIGNAL_UNSPECIFIED: 0, SIGNAL_SIGKILL: 9, SIGNAL_SIGTERM: 15 },
  },
};
