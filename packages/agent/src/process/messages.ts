// The requests of process.Process, checked. The answers are built where they arise; inside, bytes are Buffers.
import type { ProcessConfig } from '@sandport/protocol/process-rpc';
import {
  asMessage,
  type Fields,
  invalid,
  optionalBoolean,
  optionalBytes,
  optionalEnum,
  optionalMessage,
  optionalText,
  optionalTextMap,
  optionalTexts,
  optionalUint32,
  requiredMessage,
} from '../connect/message-fields.ts';

/** Names one process. */
export type Selector = { readonly pid: number } | { readonly tag: string };

export type OutputKind = 'stdout' | 'stderr' | 'pty';
export type InputKind = 'stdin' | 'pty';

export interface Input {
  readonly kind: InputKind;
  readonly bytes: Buffer;
}

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

export interface Start {
  readonly cmd: string;
  readonly args: readonly string[];
  readonly envs: ReadonlyMap<string, string>;
  readonly cwd: string;
  readonly tag: string | undefined;
  readonly stdin: boolean;
  readonly pty: TerminalSize | undefined;
}

export type Signal = 'SIGTERM' | 'SIGKILL';

export function readStart(message: unknown): Start {
  const fields = asMessage(message, 'the request');
  const process = requiredMessage(fields, 'process');
  const cmd = optionalText(process, 'cmd') ?? '';
  if (cmd === '') throw invalid('process.cmd is empty');
  const envs = optionalTextMap(process, 'envs');
  for (const name of envs.keys()) {
    if (name === '' || /[=\0]/.test(name)) throw invalid(`process.envs has the malformed name '${name}'`);
  }
  return {
    cmd,
    args: optionalTexts(process, 'args'),
    envs,
    cwd: optionalText(process, 'cwd') ?? '',
    tag: optionalText(fields, 'tag'),
    stdin: optionalBoolean(fields, 'stdin') ?? true,
    pty: readPty(fields),
  };
}

/** The start request as List repeats it. */
export function configOf(start: Start): ProcessConfig {
  return {
    cmd: start.cmd,
    ...(start.args.length > 0 && { args: start.args }),
    ...(start.envs.size > 0 && { envs: Object.fromEntries(start.envs) }),
    ...(start.cwd !== '' && { cwd: start.cwd }),
  };
}

/** The `process` field that Connect, SendInput and the others share. */
export function readSelector(fields: Fields): Selector {
  const selector = requiredMessage(fields, 'process');
  const tag = optionalText(selector, 'tag');
  if (tag !== undefined) return { tag };
  const pid = optionalUint32(selector, 'pid');
  if (pid === undefined) throw invalid('process has neither pid nor tag');
  return { pid };
}

export function describeSelector(selector: Selector): string {
  return 'pid' in selector
    ? `process with pid ${selector.pid} not found`
    : `process with tag ${selector.tag} not found`;
}

export function readInput(fields: Fields): Input {
  const input = requiredMessage(fields, 'input');
  const stdin = optionalBytes(input, 'stdin');
  if (stdin !== undefined) return { kind: 'stdin', bytes: stdin };
  const pty = optionalBytes(input, 'pty');
  if (pty === undefined) throw invalid('input has neither stdin nor pty');
  return { kind: 'pty', bytes: pty };
}

export function readSignal(fields: Fields): Signal | undefined {
  const name = optionalEnum(fields, 'signal', { SIGNAL_UNSPECIFIED: 0, SIGNAL_SIGTERM: 15, SIGNAL_SIGKILL: 9 });
  if (name === 'SIGNAL_SIGTERM') return 'SIGTERM';
  return name === 'SIGNAL_SIGKILL' ? 'SIGKILL' : undefined;
}

export function readPty(fields: Fields): TerminalSize | undefined {
  const pty = optionalMessage(fields, 'pty');
  if (pty === undefined) return undefined;
  const size = optionalMessage(pty, 'size') ?? {};
  const cols = optionalUint32(size, 'cols') ?? 0;
  const rows = optionalUint32(size, 'rows') ?? 0;
  if (cols > 0xffff || rows > 0xffff) throw invalid(`a terminal of ${cols} columns and ${rows} rows is too large`);
  return { cols, rows };
}
