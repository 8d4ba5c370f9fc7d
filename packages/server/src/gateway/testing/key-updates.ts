// For tests: records that change a client's keys and ask the server to change its own (RFC 8446, section 4.6.3).

import { createCipheriv, createHmac } from 'node:crypto';

const HASH_BYTES = 32;
const RECORD_HEAD = Buffer.from([23, 3, 3, 0, 22]);
/** The message, and after it the type of a handshake's record. */
const ASK_FOR_UPDATE = Buffer.from([24, 0, 0, 1, 1, 22]);

/** Section 7.1, with SHA-256 and no context; one block of it is enough. */
function expand(secret: Buffer, name: string, length: number): Buffer {
  const label = Buffer.from(`tls13 ${name}`);
  const info = Buffer.concat([Buffer.from([0, length, label.length]), label, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** @param secret the client's first, of a connection with TLS_AES_128_GCM_SHA256 that has sent nothing since its handshake */
export function keyUpdates(secret: Buffer, count: number): Buffer {
  const records: Buffer[] = [];
  let current = secret;
  for (let i = 0; i < count; i++) {
    const cipher = createCipheriv('aes-128-gcm', expand(current, 'key', 16), expand(current, 'iv', 12));
    cipher.setAAD(RECORD_HEAD);
    records.push(RECORD_HEAD, cipher.update(ASK_FOR_UPDATE), cipher.final(), cipher.getAuthTag());
    current = expand(current, 'traffic upd', HASH_BYTES);
  }
  return Buffer.concat(records);
}
