// sandport.Ports: which servers there are.
import { type ListPortsResponse, PORTS_SERVICE, type PortStreamMessage } from '@sandport/protocol/ports-rpc';
import type { Call } from '../connect/call.ts';
import { ConnectError } from '../connect/connect-error.ts';
import type { MessageStream } from '../connect/message-stream.ts';
import type { Method, Service } from '../connect/method.ts';
import { describePorts, listeningSockets } from './listening-ports.ts';
import { type PortListener, PortWatch } from './port-watch.ts';

/** Streams at once. */
const MAX_STREAMS = 1000;
/** Changes that a client has not taken yet. */
const MAX_WAITING_BYTES = 1024 * 1024;

export function portsService(): Service {
  const watch = new PortWatch();
  let streams = 0;

  function list(): ListPortsResponse {
    const ports = describePorts(listeningSockets());
    return ports.length === 0 ? {} : { ports };
  }

  function stream(call: Call, messages: MessageStream): void {
    if (streams >= MAX_STREAMS) {
      throw new ConnectError('resource_exhausted', `the ports are watched ${MAX_STREAMS} times already`);
    }
    const send = (message: PortStreamMessage): void => {
      if (messages.waiting <= MAX_WAITING_BYTES) messages.send(message);
      else messages.end(new ConnectError('resource_exhausted', 'ports changed faster than the client took it'));
    };
    const listener: PortListener = {
      onOpened: (opened) => send({ opened }),
      onClosed: (closed) => send({ closed }),
    };
    const ports = watch.add(listener);
    streams++;
    send({ start: ports.length === 0 ? {} : { ports } });
    messages.keepAlive(call.keepaliveMs, { keepalive: {} });
    const timer =
      call.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            messages.end(new ConnectError('deadline_exceeded', `the watch has lasted ${call.timeoutMs} ms`));
          }, call.timeoutMs);
    messages.onClose(() => {
      clearTimeout(timer);
      watch.delete(listener);
      streams--;
    });
  }

  const methods: Record<string, Method> = {
    List: { kind: 'unary', handle: list },
    Watch: { kind: 'server-stream', handle: (_request, call, messages) => stream(call, messages) },
  };
  return { name: PORTS_SERVICE, methods: new Map(Object.entries(methods)) };
}
