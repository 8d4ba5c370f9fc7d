// Messages of the agent's process service, in the JSON form in which they travel (proto3 JSON mapping):
// bytes are standard base64, zero values are absent, a oneof is the one field that is present.

export const PROCESS_SERVICE = 'process.Process';

export interface ProcessConfig {
  readonly cmd: string;
  readonly args?: readonly string[];
  readonly envs?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface PtySize {
  readonly cols: number;
  readonly rows: number;
}

export interface StartRequest {
  readonly process: ProcessConfig;
  readonly pty?: { readonly size: PtySize };
  readonly tag?: string;
  /** Whether stdin stays open for SendInput; absent means open. */
  readonly stdin?: boolean;
}

/** Names one process: by its pid inside the sandbox or by the tag it was started with. */
export type ProcessSelector = { readonly pid: number } | { readonly tag: string };

export interface ConnectRequest {
  readonly process: ProcessSelector;
}

export interface ProcessInfo {
  readonly config: ProcessConfig;
  readonly pid: number;
  readonly tag?: string;
}

export interface ListResponse {
  readonly processes?: readonly ProcessInfo[];
}

/** Input for a process: bytes as standard base64. */
export type ProcessInput = { readonly stdin: string } | { readonly pty: string };

export interface SendInputRequest {
  readonly process: ProcessSelector;
  readonly input: ProcessInput;
}

export type StreamInputRequest =
  | { readonly start: { readonly process: ProcessSelector } }
  | { readonly data: { readonly input: ProcessInput } }
  | { readonly keepalive: Readonly<Record<string, never>> };

export interface CloseStdinRequest {
  readonly process: ProcessSelector;
}

export type SignalName = 'SIGNAL_SIGTERM' | 'SIGNAL_SIGKILL';

export interface SendSignalRequest {
  readonly process: ProcessSelector;
  readonly signal: SignalName;
}

export interface UpdateRequest {
  readonly process: ProcessSelector;
  readonly pty?: { readonly size: PtySize };
}

export interface EndEvent {
  /** Absent means 0; -1 when a signal ended the process. */
  readonly exitCode?: number;
  /** False (absent) when a signal ended the process. */
  readonly exited?: boolean;
  /** `exit status 1` or `signal: killed`. */
  readonly status?: string;
  /** The status again, present when the process did not end with 0. */
  readonly error?: string;
}

export type DataEvent = { readonly stdout: string } | { readonly stderr: string } | { readonly pty: string };

export type ProcessEvent =
  | { readonly start: { readonly pid: number } }
  | { readonly data: DataEvent }
  | { readonly end: EndEvent }
  | { readonly keepalive: Readonly<Record<string, never>> };

/** One message of the streams of Start and Connect. */
export interface ProcessStreamMessage {
  readonly event: ProcessEvent;
}
