// HTTP as bytes, for requests that no client library would send.
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes and reads until the agent closes the connection, which `Connection: close` or a bad request makes it do. */
export function sendRaw(port: number, bytes: string | Uint8Array): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = dial(port);
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('close', () => resolve(parse(text)));
    socket.write(bytes);
  });
}

/** A connection whose failures are nobody's business: the agent may cut it at any time. */
export function dial(port: number): Socket {
  return connect(port, '127.0.0.1').on('error', () => {});
}

function parse(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const status = /^HTTP\/1\.1 ([0-9]{3}) /.exec(text);
  return {
    status: status === null ? 0 : Number(status[1]),
    head: end === -1 ? text : text.slice(0, end),
    body: end === -1 ? '' : text.slice(end + 4),
  };
}
