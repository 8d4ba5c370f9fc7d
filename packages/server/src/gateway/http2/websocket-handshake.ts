// The opening handshake of HTTP/1.1 (RFC 6455, section 4) that a WebSocket over HTTP/2 does without.

import { hash, randomBytes } from 'node:crypto';
import type { ResponseHead } from '../http1/response-head.ts';
import { toHttp2Fields } from './response-translation.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export class WebSocketHandshake {
  readonly #key = randomBytes(16).toString('base64');

  /** What the request to the server says beside what the client said. */
  get lines(): string {
    return `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${this.#key}\r\n`;
  }

  /** @returns what the client is answered, or undefined when the server has agreed to something else */
  accept(response: ResponseHead): string[] | undefined {
    const { fields, buf } = response;
    if (fields.value(buf, 'upgrade')?.toLowerCase() !== 'websocket') return undefined;
    if (fields.value(buf, 'sec-websocket-accept') !== hash('sha1', this.#key + GUID, 'base64')) return undefined;
    const answer = [':status', '200'];
    const fieldList = toHttp2Fields(response);
    for (let i = 0; i < fieldList.length; i += 2) {
      const name = fieldList[i]!;
      if (name !== ':status' && name !== 'sec-websocket-accept') answer.push(name, fieldList[i + 1]!);
    }
    return answer;
  }
}
