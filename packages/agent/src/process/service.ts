// process.Process: the table of its methods.
import { PROCESS_SERVICE } from '@sandport/protocol/process-rpc';
import type { SandboxDefaults } from '../access/sandbox-defaults.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { asMessage } from '../connect/message-fields.ts';
import type { Method, Service } from '../connect/method.ts';
import { closeStdin, sendInput, streamInput } from './input.ts';
import { readPty, readSelector, readSignal } from './messages.ts';
import { type ProcessObserver, ProcessTable } from './process-table.ts';
import { connect, start } from './start.ts';

export function processService(defaults: () => SandboxDefaults, observer?: ProcessObserver): Service {
  const table = new ProcessTable(observer);
  const methods: Record<string, Method> = {
    Start: {
      kind: 'server-stream',
      handle: (request, call, stream) => start(table, defaults(), request, call, stream),
    },
    Connect: { kind: 'server-stream', handle: (request, call, stream) => connect(table, request, call, stream) },
    List: { kind: 'unary', handle: () => list(table) },
    SendInput: { kind: 'unary', handle: (request, call) => sendInput(table, request, call) },
    StreamInput: { kind: 'client-stream', handle: (requests, call) => streamInput(table, requests, call) },
    CloseStdin: { kind: 'unary', handle: (request) => closeStdin(table, request) },
    SendSignal: { kind: 'unary', handle: (request) => sendSignal(table, request) },
    Update: { kind: 'unary', handle: (request) => update(table, request) },
  };
  return { name: PROCESS_SERVICE, methods: new Map(Object.entries(methods)) };
}

function list(table: ProcessTable): object {
  const processes = table.running().map(({ config, pid, tag }) => ({ config, pid, ...(tag !== undefined && { tag }) }));
  return processes.length === 0 ? {} : { processes };
}

function sendSignal(table: ProcessTable, message: unknown): object {
  const fields = asMessage(message, 'the request');
  const selector = readSelector(fields);
  const signal = readSignal(fields);
  if (signal === undefined) throw new ConnectError('unimplemented', 'only SIGNAL_SIGTERM and SIGNAL_SIGKILL are sent');
  if (!table.get(selector).signal(signal)) throw new ConnectError('not_found', 'the process has ended');
  return {};
}

/** Without a size there is nothing to change. */
function update(table: ProcessTable, message: unknown): object {
  const fields = asMessage(message, 'the request');
  const process = table.get(readSelector(fields));
  const size = readPty(fields);
  if (size !== undefined) process.resize(size);
  return {};
}
