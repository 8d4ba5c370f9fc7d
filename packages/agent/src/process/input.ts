// SendInput, StreamInput and CloseStdin: bytes for a running command.
import type { Call } from '../connect/call.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { asMessage, invalid, optionalMessage, requiredMessage } from '../connect/message-fields.ts';
import type { ManagedProcess } from './managed-process.ts';
import { readInput, readSelector } from './messages.ts';
import type { ProcessTable } from './process-table.ts';

/** Answers when the process' pipe has taken the bytes, which holds back a client that sends faster than it reads. */
export async function sendInput(table: ProcessTable, message: unknown, call: Call): Promise<object> {
  const fields = asMessage(message, 'the request');
  const process = table.get(readSelector(fields));
  const input = readInput(fields);
  await withinCall(process.write(input.kind, input.bytes), call);
  return {};
}

export async function streamInput(table: ProcessTable, messages: AsyncIterable<unknown>, call: Call): Promise<object> {
  let process: ManagedProcess | undefined;
  for await (const message of messages) {
    const fields = asMessage(message, 'the message');
    const start = optionalMessage(fields, 'start');
    const data = optionalMessage(fields, 'data');
    if (start !== undefined) {
      if (process !== undefined) throw invalid('a second start message');
      process = table.get(readSelector(start));
    } else if (data !== undefined) {
      if (process === undefined) throw invalid('the first message is not start');
      const input = readInput(data);
      await withinCall(process.write(input.kind, input.bytes), call);
    } else {
      requiredMessage(fields, 'keepalive');
    }
  }
  if (process === undefined) throw invalid('the first message is not start');
  return {};
}

export function closeStdin(table: ProcessTable, message: unknown): object {
  table.get(readSelector(asMessage(message, 'the request'))).closeStdin();
  return {};
}

/** A process may never read its input; the call then ends with its deadline or its client. */
function withinCall(written: Promise<void>, call: Call): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  if (call.timeoutMs !== undefined) {
    timer = setTimeout(() => {
      reject(new ConnectError('deadline_exceeded', 'the process did not take the input in time'));
    }, call.timeoutMs);
  }
  call.onClose(() => reject(new ConnectError('canceled', 'the client is gone')));
  written.then(resolve, reject);
  return promise.finally(() => clearTimeout(timer));
}
