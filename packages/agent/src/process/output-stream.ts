// Delivers a process to one client as the stream of events that Start and Connect answer.
import type { EndEvent } from '@sandport/protocol/process-rpc';
import type { Call } from '../connect/call.ts';
import type { MessageStream } from '../connect/message-stream.ts';
import type { ManagedProcess, Watcher } from './managed-process.ts';
import type { OutputKind } from './messages.ts';

/** Watches `process` until it has ended or the client is gone. The stream's first message is the start event. */
export function streamProcess(process: ManagedProcess, call: Call, stream: MessageStream): void {
  sendStart(stream, process.pid);
  const watcher: Watcher = {
    get ready() {
      return stream.writable;
    },
    output: (kind: OutputKind, bytes: Buffer) => stream.send({ event: { data: { [kind]: bytes } } }),
    end: (event) => sendEnd(stream, event),
  };
  stream.keepAlive(call.keepaliveMs, { event: { keepalive: {} } });
  stream.onDrain(() => process.balance());
  process.watch(watcher);
  // The process outlives its client.
  stream.onClose(() => process.unwatch(watcher));
}

export function sendStart(stream: MessageStream, pid: number): void {
  stream.send({ event: { start: { pid } } });
}

export function sendEnd(stream: MessageStream, event: EndEvent): void {
  stream.send({ event: { end: event } });
  stream.end();
}
