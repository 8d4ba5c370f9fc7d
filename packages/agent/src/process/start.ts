// Start: runs a command and streams its events. Connect: streams those of one that runs already.
import { statSync } from 'node:fs';
import { expandPath } from '../access/paths.ts';
import { requestedUser } from '../access/requested-user.ts';
import type { SandboxDefaults } from '../access/sandbox-defaults.ts';
import type { User } from '../access/users.ts';
import type { Call } from '../connect/call.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { asMessage, invalid } from '../connect/message-fields.ts';
import type { MessageStream } from '../connect/message-stream.ts';
import { commandEnvironment } from './environment.ts';
import { endEvent } from './exit-status.ts';
import { launch } from './launch.ts';
import { CannotExecute } from './launch-error.ts';
import { ManagedProcess } from './managed-process.ts';
import { configOf, readSelector, readStart } from './messages.ts';
import { sendEnd, sendStart, streamProcess } from './output-stream.ts';
import type { ProcessTable } from './process-table.ts';

/** The kernel gives out no pid from here on (PID_MAX_LIMIT), so it can stand for a process that never was. */
const FIRST_IMPOSSIBLE_PID = 4 * 1024 * 1024 + 1;

export async function start(
  table: ProcessTable,
  defaults: SandboxDefaults,
  message: unknown,
  call: Call,
  stream: MessageStream,
): Promise<void> {
  const request = readStart(message);
  const user = requestedUser(call.authorization, defaults.defaultUser, defaults.root);
  const cwd = workingDirectory(request.cwd, user, defaults.defaultWorkdir);
  let managed: ManagedProcess;
  try {
    const launched = await launch({
      cmd: request.cmd,
      args: request.args,
      cwd,
      environment: commandEnvironment(user, defaults.environment, request),
      user,
      stdin: request.stdin,
      terminal: request.pty,
    });
    managed = new ManagedProcess(launched, configOf(request), request.tag, (ended, event) => table.end(ended, event));
  } catch (error) {
    if (error instanceof CannotExecute) return reportAsExit(stream, error);
    throw error;
  }
  table.add(managed);
  if (call.timeoutMs !== undefined) endAtDeadline(managed, call.timeoutMs, stream);
  streamProcess(managed, call, stream);
}

export function connect(table: ProcessTable, message: unknown, call: Call, stream: MessageStream): void {
  const process = table.find(readSelector(asMessage(message, 'the request')));
  if (process instanceof ManagedProcess) {
    if (call.timeoutMs !== undefined) closeAtDeadline(call.timeoutMs, stream);
    streamProcess(process, call, stream);
  } else {
    sendStart(stream, process.pid);
    sendEnd(stream, process.ended);
  }
}

function workingDirectory(requested: string, user: User, defaultWorkdir: string | undefined): string {
  let cwd: string;
  try {
    cwd = expandPath(requested, user, defaultWorkdir);
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) throw invalid(`cwd '${cwd}' does not exist`);
  return cwd;
}

/** A missing program is the command's failure, not the call's: it looks as if a shell had been asked to run it. */
function reportAsExit(stream: MessageStream, error: CannotExecute): void {
  sendStart(stream, FIRST_IMPOSSIBLE_PID);
  stream.send({ event: { data: { stderr: Buffer.from(`${error.message}\n`) } } });
  sendEnd(stream, endEvent({ code: error.exitCode }));
}

/** The timeout of Start is the life time of the command, whether its client still listens or not. */
function endAtDeadline(process: ManagedProcess, timeoutMs: number, stream: MessageStream): void {
  const timer = setTimeout(() => {
    process.signal('SIGKILL');
    stream.end(new ConnectError('deadline_exceeded', `the command did not end within ${timeoutMs} ms`));
  }, timeoutMs);
  process.watch({ ready: true, output: () => {}, end: () => clearTimeout(timer) });
}

function closeAtDeadline(timeoutMs: number, stream: MessageStream): void {
  const timer = setTimeout(() => {
    stream.end(new ConnectError('deadline_exceeded', `the command did not end within ${timeoutMs} ms`));
  }, timeoutMs);
  stream.onClose(() => clearTimeout(timer));
}
