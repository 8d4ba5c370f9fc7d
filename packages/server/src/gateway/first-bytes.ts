// Tells TLS, HTTP/2 and HTTP/1.1 apart by a connection's first bytes, after what a load balancer says of its client.

import { type AnnouncedClient, readProxyHeader } from './proxy-protocol.ts';

/** First byte of a TLS record that holds a ClientHello (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;
/** What a client that knows it talks to HTTP/2 sends first (RFC 9113, section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type Protocol = 'tls' | 'http2' | 'http1';

export class FirstBytes {
  /** What the protocol begins with, once it is known. Shares memory with what was given last. */
  bytes: Buffer = NONE;
  announced: AnnouncedClient | undefined;
  #mayAnnounce: boolean;

  /** @param mayAnnounce whether the connection may begin with what a load balancer says of its client */
  constructor(mayAnnounce: boolean) {
    this.#mayAnnounce = mayAnnounce;
  }

  /** @param chunk kept by nobody once the next one comes */
  read(chunk: Buffer): Protocol | 'incomplete' | 'malformed' {
    let seen = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    this.bytes = NONE;
    if (this.#mayAnnounce) {
      const header = readProxyHeader(seen);
      if (header === 'malformed') return 'malformed';
      if (header === 'incomplete') return this.#wait(seen);
      this.#mayAnnounce = false;
      if (header !== 'none') {
        this.announced = header.client;
        seen = seen.subarray(header.length);
        if (seen.length === 0) return 'incomplete';
      }
    }
    const first = seen[0]!;
    if (first === PREFACE[0] && seen.length < PREFACE.length && PREFACE.subarray(0, seen.length).equals(seen)) {
      return this.#wait(seen);
    }
    this.bytes = seen;
    if (first === TLS_HANDSHAKE) return 'tls';
    if (first !== PREFACE[0] || seen.length < PREFACE.length) return 'http1';
    return PREFACE.equals(seen.subarray(0, PREFACE.length)) ? 'http2' : 'http1';
  }

  #wait(seen: Buffer): 'incomplete' {
    // A copy: the buffer that was read into is needed for the next read.
    this.bytes = Buffer.from(seen);
    return 'incomplete';
  }
}

const NONE = Buffer.alloc(0);
